"""A category for tools whose source names none: of ToolBench's 49, the one whose description is nearest.

Near is what shares telling words with the description (BM25) and, where a sentence encoder is installed, what means the
same as well. `topics.json` describes each category in a few sentences and lists words that its tools use far more often
than others do.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from toolbench.bm25 import Bm25
from toolbench.catalogue.categories import OTHER, topics
from toolbench.catalogue.drafts import Reading, ToolDraft
from toolbench.catalogue.words import apart, words
from toolbench.digests import canonical
from toolbench.encoder import Encoder, installed
from toolbench.errors import ToolbenchError
from toolbench.records import Tool

Scores = dict[str, float]
"""Category → how near it is; higher is nearer."""

_TITLE_WEIGHT = 3
_APIS_READ = 20
_DESCRIPTION_READ = 1000
_API_DESCRIPTION_READ = 200
"""Characters."""
_SENTENCES_READ = 400
"""Characters of a description that the encoder reads: about 100 tokens."""
_SHORT = 100
"""Characters; a shorter description is helped out by the names of APIs."""
TOKENS = 128
"""Longest text the encoder reads."""
_WORDS_SHARE = 0.3
"""What the nearest category by words adds to a mean cosine of the encoder, which is at most 1."""


def fill(readings: Iterable[Reading], known: Mapping[str, str] | None = None) -> list[Reading]:
    """The readings, every tool in a category: a tool without one gets the nearest and is marked as inferred.

    `known` maps `identity_of` a tool to the category inferred for it earlier, which it keeps: an id begins with its
    category and must not move. Tools of one identity get one category. Rejects without a category get that of their
    reading's tool where it has exactly one. Raises nothing; the order of the readings decides nothing.
    """
    readings = list(readings)
    open_: dict[str, list[ToolDraft]] = {}
    for reading in readings:
        for tool in reading.tools:
            if not tool.category:
                open_.setdefault(identity_of(tool), []).append(tool)
    found = {identity: category for identity, category in (known or {}).items() if category}
    new = sorted(open_.keys() - found.keys())
    # Of namesakes the one that comes first by its text speaks for all.
    speakers = [min(open_[identity], key=lambda t: (_sentences(t), sorted(_query(t).items()))) for identity in new]
    found.update(zip(new, nearest(speakers), strict=True))
    return [_filled(reading, found) for reading in readings]


def identity_of(tool: ToolDraft | Tool) -> str:
    """What stays the same about a tool from night to night: origin, name, address."""
    return canonical([tool.origin, tool.name, tool.base_url])


def nearest(tools: Sequence[ToolDraft]) -> list[str]:
    """The nearest category of each tool; Other if it shares no word with any of them."""
    return [min(s, key=lambda c: (-s[c], c)) if s else OTHER for s in scored(tools)]


def scored(tools: Sequence[ToolDraft], encoder: Encoder | None = None) -> list[Scores]:
    """The scores of each tool: by words and meaning with an encoder, else by words alone.

    Without `encoder` the installed one is loaded, if there is one: some seconds, so not for nothing.
    """
    by_words = [by_bm25(tool) for tool in tools]
    worth_it = [tool for tool, scores in zip(tools, by_words, strict=True) if scores]
    encoder = encoder or (_installed() if worth_it else None)
    if encoder is None:
        return by_words
    by_meaning = iter(by_encoder(worth_it, encoder))
    return [_together(scores, next(by_meaning)) if scores else {} for scores in by_words]


def by_bm25(tool: ToolDraft) -> Scores:
    """The categories that share a word with the tool."""
    return _index().scores(_query(tool))


def by_encoder(tools: Sequence[ToolDraft], encoder: Encoder) -> list[Scores]:
    """For each tool the mean of its cosines with each category's description and with its list of words."""
    names = list(_candidates())
    shown = {name: name.replace("_", " ") for name in names}
    about = [f"{shown[n]}: {t['description']}" for n, t in _candidates().items()]
    lists = [f"{shown[n]}: {', '.join(t['words'])}" for n, t in _candidates().items()]
    middle = (encoder.encode(about) + encoder.encode(lists)) / 2
    # Four digits: which texts share a batch shows in the last ones, and must not decide.
    cosines = (encoder.encode([_sentences(tool) for tool in tools]) @ middle.T).round(4)
    return [dict(zip(names, map(float, row), strict=True)) for row in cosines]


def _candidates() -> dict[str, dict[str, Any]]:
    """All but Other: nothing is near to what belongs nowhere."""
    return {name: topic for name, topic in topics().items() if name != OTHER}


@cache
def _index() -> Bm25:
    return Bm25(
        {n: words(f"{n.replace('_', ' ')} {t['description']} {' '.join(t['words'])}") for n, t in _candidates().items()}
    )


def _installed() -> Encoder | None:
    if not installed():
        return None
    try:
        return Encoder.load("minilm", TOKENS)
    except ToolbenchError:
        # Packages that do not work are as good as none: words alone do.
        return None


def _together(by_words: Scores, by_meaning: Scores) -> Scores:
    top = max(by_words.values())
    return {name: cosine + _WORDS_SHARE * by_words.get(name, 0.0) / top for name, cosine in by_meaning.items()}


def _query(tool: ToolDraft) -> dict[str, float]:
    """Telling words with weights: said ten times, a word counts three times as much as said once."""
    # `YouTube` is one word and `GlobalWineScore` three: a title is read both ways.
    counted = Counter(dict.fromkeys(words(f"{tool.title} {apart(tool.title)}"), _TITLE_WEIGHT))
    counted.update(words(tool.description[:_DESCRIPTION_READ]))
    for api in _some_apis(tool):
        counted.update(words(" ".join([apart(api.name), api.description[:_API_DESCRIPTION_READ], *api.tags])))
    return {word: 1 + math.log(n) for word, n in counted.items()}


def _sentences(tool: ToolDraft) -> str:
    """What the encoder reads."""
    text = f"{tool.title}. {tool.description[:_SENTENCES_READ]}"
    if len(tool.description) >= _SHORT:
        return text
    return f"{text}. {', '.join(apart(api.name) for api in _some_apis(tool))}"


def _some_apis(tool: ToolDraft) -> Iterator[Any]:
    """At most 20 APIs from all over the document: the first ones of a big one are often about one thing."""
    return iter(tool.apis[:: -(-len(tool.apis) // _APIS_READ) or 1])


def _filled(reading: Reading, found: Mapping[str, str]) -> Reading:
    tools = [
        tool if tool.category else replace(tool, category=found[identity_of(tool)], category_inferred=True)
        for tool in reading.tools
    ]
    if len(tools) != 1:
        return Reading(tools, list(reading.rejects))
    category = tools[0].category
    return Reading(tools, [r if r.category else replace(r, category=category) for r in reading.rejects])
