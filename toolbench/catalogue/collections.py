"""Collections for sources that have none: tools of several categories that share a telling word.

The marketplace's own collections were never published with the crawl. These are plain and repeatable: a word names a
collection if it is among the most telling ones (tf-idf over names and descriptions) of enough tools.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

SMALLEST, LARGEST = 5, 50
"""Tools of one collection."""
_PER_TOOL = 2
_TELLING = 8
_TITLE_WEIGHT = 3
_WORDS_READ = 120

_WORD = re.compile(r"[a-z]{3,20}")
_STOPWORDS = frozenset(
    """
    about access account accurate add additional after all allow allows also amazon amount and another any api
    apis app application applications apps are available back based basic become been before being best between
    both build but by call calls can change check collection com common contact contain create created currently
    custom daily data database definition demo description detail detailed details developer developers
    different due each easiest easily easy end endpoint endpoints etc every example extract fast feature
    features feel fetch find first following for free from full function functionality generate get gets give
    given gives good great has have help helps here high hosted how http https include includes including info
    information instead into its javascript json just key kind latest leave let like link list live long look
    lot main make many may mere more most much must name need new not note now number off offer offering offers
    one online only open other our out over page part perform plan platform please possible post powered
    powerful pricing private product products project provide provided provides providing public purpose query
    quick quickly rapid rapidapi real receive related request requests response rest result results retrieve
    return returned returns sample say search see send server service services set should simple single site
    small software some source specific start still such support supported supports sure system take team test
    testing than that the their them then there these they this those thousand three through time title tool
    tools top try two type under unlimited unofficial update updated url use used useful user users uses using
    value values various version very via view want was way web website well what when where whether which while
    who wide will with within without work world would wrapper www you your
    """.split()  # noqa: SIM905 - 250 quoted words could not be read
)  # fmt: skip


def collections_of(tools: Mapping[str, tuple[str, str, str]]) -> dict[str, list[str]]:
    """Tool id → sorted names of its collections, at most two, for tools given as (category, title, description).

    A collection holds 5 to 50 tools of at least two categories. The order of `tools` decides nothing.
    """
    telling = _telling_words(tools)
    members: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for tool_id, words in telling.items():
        for word, weight in words:
            members[word].append((weight, tool_id))
    found: dict[str, list[str]] = defaultdict(list)
    # The word that says most about its tools picks first; a tool leaves once it is in two collections.
    for word in sorted(members, key=lambda w: (-_strength(members[w]), w)):
        free = [m for m in members[word] if len(found.get(m[1], ())) < _PER_TOOL]
        best = sorted(free, key=lambda m: (-m[0], m[1]))[:LARGEST]
        if len(best) >= SMALLEST and len({tools[tool_id][0] for _, tool_id in best}) >= 2:
            for _, tool_id in best:
                found[tool_id].append(word)
    return {tool_id: sorted(words) for tool_id, words in found.items()}


def _strength(members: list[tuple[float, str]]) -> float:
    """Mean weight, with a bonus for reach. `fsum`: the order of the members must not show in the last digit."""
    return math.fsum(weight for weight, _ in members) / len(members) * math.log1p(min(len(members), LARGEST))


def _telling_words(tools: Mapping[str, tuple[str, str, str]]) -> dict[str, list[tuple[str, float]]]:
    counts = {tool_id: _counted(title, description) for tool_id, (_, title, description) in tools.items()}
    spread = Counter(word for words in counts.values() for word in words)
    out = {}
    for tool_id, words in counts.items():
        length = math.sqrt(sum(words.values())) or 1.0
        weighted = [
            (word, n / length * math.log(len(tools) / spread[word]))
            for word, n in words.items()
            # Said once in a description, a word is by the way; in a title it counts three times.
            if n >= 2 and spread[word] >= SMALLEST
        ]
        out[tool_id] = sorted(weighted, key=lambda w: (-w[1], w[0]))[:_TELLING]
    return out


def _counted(title: str, description: str) -> Counter[str]:
    words = Counter({word: n * _TITLE_WEIGHT for word, n in Counter(_words(title)).items()})
    words.update(_words(description)[:_WORDS_READ])
    return words


def _words(text: str) -> list[str]:
    return [_singular(w) for w in _WORD.findall(text.lower()) if w not in _STOPWORDS]


def _singular(word: str) -> str:
    """`movies` and `movie` are one word; `news` and `status` keep their s."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + ("ie" if len(word) == 5 or word == "movies" else "y")
    return word[:-1] if len(word) > 4 and word.endswith("s") and word[-2] not in "sui" else word
