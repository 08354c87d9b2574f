"""Collections for sources that have none: tools that share a telling word, across categories and within one.

The marketplace's own collections were never published with the crawl. These are plain and repeatable: a word names a
collection if it is among the most telling ones (tf-idf over names and descriptions) of enough tools. Collections across
categories pick their tools first; what they leave over is gathered category by category.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeVar

from toolbench.catalogue.words import words

Tools = Mapping[str, tuple[str, str, str]]
"""Tool id → (category, title, description)."""

SMALLEST, LARGEST = 5, 50
"""Tools of one collection."""
_PER_TOOL = 2
_TELLING = 8
_TITLE_WEIGHT = 3
_WORDS_READ = 120
_SHORTEST = 3
"""Letters of a word that may name a collection."""

_TOO_WIDE = frozenset(
    """
    accept account action activity age agency agent air all alpha answer area array artificial ask aso auto
    availability axle bad ball bay box brand browser build building bulk bóng cai calculate capture category chain
    character cheap checker chỉ class club coast code collect company compare comparison consulta consumer contact
    content convert core cost counter covered creator customer các cái công cược cấp data database day deep demand
    demo detect detecting detection detector dev digital doc docs documentation downloadable draw echo ecombr edge
    effect engine enhance enterprise epic extraction extractor famous feed finder flow forward fun fundamental
    future gen generated generating generation generator guru heart helper home hosted hotline hour hub human hàng
    identifier infomation insight intelligent international item launch learn length les level library life listing
    live local lookup made magic maker management manager master matching metric mktplace mongo monitor month multi
    nam name natural nha nhà nhất nhận ninja note number onboarding order org otapi ovrll parameter parser parsing
    people person personal petstore phẩm place plan port portal power preview pricing processing product products
    professional programming project question random randomly rank ranking reader reading realtime recent record
    register registered removal remover report repository resolution retrieval reverse sandbox scan scanner scrape
    scraper scraping scrapper script searching secret secure seller sender sending sharing showing sign smart solver
    space speak spec square stable star stat state statistic store strong style success suggest suggestion suite
    super supply swap sản table tag task team tech technology temp template temporary teste thomo thread tik tin
    tiền tok topic track trade trend trực tuyến united universal unlimited utility validate validator vendor
    verifier verify viewer virtual visual việt walnut week what widget winning wisdom wizard world worldwide year
    zone đăng địa đồng
    """.split()  # noqa: SIM905 - hundreds of quoted words could not be read
)
"""Words that tools of no common topic share: nobody would look for a collection of that name."""

_TYPICAL = 3
"""Times more often a word is said in a category than in all, to name a collection within it."""

_Members = list[tuple[float, str]]
"""(weight, tool id) of the tools that a word tells something about."""
_Key = TypeVar("_Key", str, tuple[str, str])


def collections_of(tools: Tools) -> dict[str, list[str]]:
    """Tool id → sorted names of its collections, at most two, for tools given as (category, title, description).

    A collection holds 5 to 50 tools. One across categories is named by its word, one within a category by its word and
    the category: `forecast`, `forecast (Weather)`. The order of `tools` decides nothing.
    """
    weighted = _weighted(tools)
    found: dict[str, list[str]] = defaultdict(list)
    for word, gathered in _by_strength(_telling(weighted)):
        best = _best(gathered, found)
        if len({tools[tool_id][0] for _, tool_id in best}) >= 2:
            _enter(word, best, found)
    for (category, word), gathered in _by_strength(_at_home(weighted, tools)):
        free = [m for m in gathered if word not in found.get(m[1], ())]
        _enter(f"{word} ({category.replace('_', ' ')})", _best(free, found), found)
    return {tool_id: sorted(names) for tool_id, names in found.items()}


def _by_strength(members: Mapping[_Key, _Members]) -> Iterator[tuple[_Key, _Members]]:
    """The word that says most about its tools picks first."""
    for key in sorted(members, key=lambda k: (-_strength(members[k]), k)):
        yield key, members[key]


def _best(gathered: _Members, found: Mapping[str, list[str]]) -> _Members:
    """The tools a collection would take; none if they are too few. A tool leaves once it is in two collections."""
    free = [m for m in gathered if len(found.get(m[1], ())) < _PER_TOOL]
    return sorted(free, key=lambda m: (-m[0], m[1]))[:LARGEST] if len(free) >= SMALLEST else []


def _enter(name: str, best: _Members, found: dict[str, list[str]]) -> None:
    for _, tool_id in best:
        found[tool_id].append(name)


def _strength(members: _Members) -> float:
    """Mean weight, with a bonus for reach. `fsum`: the order of the members must not show in the last digit."""
    return math.fsum(weight for weight, _ in members) / len(members) * math.log1p(min(len(members), LARGEST))


def _weighted(tools: Tools) -> dict[str, list[tuple[float, str, int]]]:
    """Tool id → (weight, word, times said) of its words, the most telling first."""
    counts = {tool_id: _counted(title, description) for tool_id, (_, title, description) in tools.items()}
    spread = Counter(word for counted in counts.values() for word in counted)
    rarity = {word: math.log(len(tools) / n) for word, n in spread.items() if n >= SMALLEST}
    out = {}
    for tool_id, counted in counts.items():
        length = math.sqrt(sum(counted.values())) or 1.0
        listed = [(n / length * rarity[word], word, n) for word, n in counted.items() if word in rarity]
        out[tool_id] = sorted(listed, key=lambda w: (-w[0], w[1]))
    return out


def _telling(weighted: Mapping[str, list[tuple[float, str, int]]]) -> dict[str, _Members]:
    """The tools under each of their most telling words."""
    members: dict[str, _Members] = defaultdict(list)
    for tool_id, listed in weighted.items():
        # Said once in a description, a word is by the way; in a title it counts three times.
        for weight, word, _ in [w for w in listed if w[2] >= 2][:_TELLING]:
            members[word].append((weight, tool_id))
    return members


def _at_home(weighted: Mapping[str, list[tuple[float, str, int]]], tools: Tools) -> dict[tuple[str, str], _Members]:
    """The tools of a category under each word that is typical of it: there, to be said once is enough."""
    members: dict[tuple[str, str], _Members] = defaultdict(list)
    sizes = Counter(category for category, _, _ in tools.values())
    spread: Counter[str] = Counter()
    for tool_id, listed in weighted.items():
        for weight, word, _ in listed:
            members[tools[tool_id][0], word].append((weight, tool_id))
            spread[word] += 1
    return {
        (category, word): found
        for (category, word), found in members.items()
        if len(found) >= SMALLEST and len(found) / sizes[category] >= _TYPICAL * spread[word] / len(tools)
    }


def _counted(title: str, description: str) -> Counter[str]:
    counted = Counter({word: n * _TITLE_WEIGHT for word, n in Counter(_names(title)).items()})
    counted.update(_names(description)[:_WORDS_READ])
    return counted


def _names(text: str) -> list[str]:
    return [word for word in words(text) if len(word) >= _SHORTEST and word not in _TOO_WIDE]
