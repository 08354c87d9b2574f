"""Filling arguments: from the instruction's words, from earlier observations, from documented values."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

from toolbench.teacher.offline.mentions import Mention, mentions
from toolbench.teacher.offline.observe import Leaf
from toolbench.teacher.offline.parameters import Parameter, invent, label_of
from toolbench.teacher.offline.transcript import Call
from toolbench.teacher.offline.words import LEXICON, STOP, pieces, stem, stems

_WEAK, _NEAR, _LABELLED = 1.0, 1.5, 2.5
"""From `_WEAK` on a mention serves a required parameter, from `_NEAR` on rather than an earlier observation, and from
`_LABELLED` on an optional parameter too."""

_FITS: dict[str, dict[str, float]] = LEXICON["mentions_for_kind"]
"""Per kind of parameter the kinds of mention that may serve it, and how well."""

_NUMERIC = {"number": 1.2}
_CODE = {"number": 1.2, "quoted": 2.0, "token": 1.2, "code": 0.8}
_CODE_LENGTH = {"currency": (3,), "country_code": (2, 3), "language_code": (2,)}


def values(
    parameters: Sequence[Parameter],
    instruction: str,
    clause: str,
    calls: Sequence[Call],
    avoid: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Arguments for one call. `avoid` are arguments that failed: a guessed parameter then takes another guess."""
    named = _from_text(parameters, instruction, clause)
    leaves = [leaf for call in reversed(calls) if call.observation.ok for leaf in call.observation.leaves]
    out: dict[str, Any] = {}
    for wanted in parameters:
        score, value = named.get(wanted.name, (0.0, None))
        seen = _from_observations(wanted, leaves) if score < _NEAR else None
        if seen is not None and wanted.required:
            out[wanted.name] = seen
        elif score >= (_WEAK if wanted.required else _LABELLED):
            out[wanted.name] = value
        elif wanted.required:
            out[wanted.name] = _guess(wanted, clause, [tried.get(wanted.name) for tried in avoid])
    if out in [dict(tried) for tried in avoid]:
        return _otherwise(parameters, instruction, out, avoid)
    return out


def _from_text(parameters: Sequence[Parameter], instruction: str, clause: str) -> dict[str, tuple[float, Any]]:
    """Per parameter the best mention with its score; every mention serves one parameter."""
    at = max(instruction.find(clause), 0)
    found = mentions(instruction)
    pairs: list[tuple[float, int, int, Any]] = []
    for index, wanted in enumerate(parameters):
        if wanted.enum or wanted.type == "boolean":
            if (hit := _enumerated(wanted, clause) or _enumerated(wanted, instruction)) is not None:
                pairs.append((hit[0], index, hit[1], hit[2]))
            continue
        near, far = _candidates(wanted, found, instruction, range(at, at + len(clause)))
        # Where the asking clause names a fitting value, one from elsewhere was most likely named for another function.
        pairs += [(score, index, start, value) for score, start, value in near]
        pairs += [(score - (1.5 if near else 0.0), index, start, value) for score, start, value in far]
    chosen: dict[str, tuple[float, Any]] = {}
    used: set[int] = set()
    for score, index, start, value in sorted(pairs, key=lambda pair: (-round(pair[0], 3), pair[1], pair[2])):
        name = parameters[index].name
        if name not in chosen and start not in used:
            chosen[name] = (score, value)
            used.add(start)
    return chosen


def _candidates(
    wanted: Parameter, found: Sequence[Mention], text: str, span: range
) -> tuple[list[tuple[float, int, Any]], list[tuple[float, int, Any]]]:
    """The mentions that suit a parameter as (score, offset, value): those inside the span, and the others."""
    near: list[tuple[float, int, Any]] = []
    far: list[tuple[float, int, Any]] = []
    for mention in found:
        inside = mention.start in span
        score = _score(wanted, mention, text, inside)
        if score > 0 and (value := _typed(mention, wanted)) is not None:
            (near if inside else far).append((score, mention.start, value))
    return near, far


def _score(wanted: Parameter, mention: Mention, text: str, inside: bool) -> float:
    """How well a mention suits a parameter: its kind, the words beside it, whether the asking clause holds it."""
    fits = _FITS.get(wanted.kind, _CODE if wanted.type == "string" else _NUMERIC)
    if wanted.type in ("integer", "number"):
        fits = _NUMERIC
    base = fits.get(mention.kind, 0.0)
    if base == 0:
        return 0.0
    if (
        isinstance(mention.value, (int, float))
        and wanted.type in ("integer", "number")
        and not _within(mention.value, wanted)
    ):
        return 0.0
    before = [stem(word) for word in pieces(text[max(0, mention.start - 48) : mention.start])][-5:]
    after = [stem(word) for word in pieces(text[mention.end : mention.end + 32])][:3]
    if wanted.kind in _CODE_LENGTH and mention.kind == "code" and len(mention.value) not in _CODE_LENGTH[wanted.kind]:
        return 0.0
    labelled = _named_after(wanted, text[mention.end : mention.end + 48]) or _labelled(wanted, before, after)
    dated = wanted.kind == "year" and isinstance(mention.value, int) and 1000 <= mention.value <= 2999
    return base + labelled + (1.0 if dated else 0.0) + (0.6 if inside else -0.8)


def _named_after(wanted: Parameter, following: str) -> float:
    """What "… as the start" behind a value says: it is meant for that parameter and no other; 0 without such words."""
    said = re.match(r"[\"”']?(?: \w+)? as the ((?:\w+ ?){1,3})", following)
    if not said:
        return 0.0
    label = label_of(wanted.name)
    return 4.0 if said.group(1).startswith(label) else -1.5


def _labelled(wanted: Parameter, before: Sequence[str], after: Sequence[str]) -> float:
    """The nearer a word of the parameter's name, the likelier the value is meant for it."""
    score = 0.0
    label = label_of(wanted.name).split()
    for word in label:
        root = stem(word)
        for distance, near in enumerate(reversed(before)):
            if near == root:
                score += 2.2 / (1 + 0.35 * distance) / len(label) ** 0.5
                break
        for distance, near in enumerate(after):
            if near == root:
                score += 1.8 / (1 + 0.6 * distance) / len(label) ** 0.5
                break
    last = before[-1] if before else ""
    if label[0] in ("from", "source", "origin", "base", "start", "first", "a") and last in (
        "from",
        "betwen",
        "between",
    ):
        score += 2.0
    if label[0] in ("to", "into", "target", "destination", "quote", "end", "second", "b") and last in (
        "to",
        "into",
        "and",
    ):
        score += 2.0 if last != "and" else 0.8
    if wanted.kind in ("city", "country", "zone") and last in ("in", "for", "at", "of"):
        score += 0.4
    return score


def _within(value: float, wanted: Parameter) -> bool:
    if wanted.type == "integer" and not float(value).is_integer():
        return False
    return (wanted.minimum is None or value >= wanted.minimum) and (wanted.maximum is None or value <= wanted.maximum)


def _typed(mention: Mention, wanted: Parameter) -> Any:
    """The mention's value in the parameter's type; None if it cannot be."""
    value = mention.value
    if mention.kind == "json":
        try:
            value = json.loads(value)
        except ValueError:
            return None
        return value if isinstance(value, {"array": list, "object": dict}.get(wanted.type, str)) else None
    if wanted.type in ("integer", "number"):
        return int(value) if wanted.type == "integer" else value
    if wanted.type == "array":
        return value if isinstance(value, list) else [value]
    if wanted.type == "string" and isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value) if wanted.type == "string" else value if wanted.type != "object" else None


def _enumerated(wanted: Parameter, text: str) -> tuple[float, int, Any] | None:
    """An enumerated value (or true and false) that the text names, the one nearest to its parameter's words."""
    best: tuple[float, int, Any] | None = None
    label = {stem(word) for word in label_of(wanted.name).split()}
    for value in wanted.enum or (True, False):
        said = str(value).lower() if isinstance(value, bool) else str(value)
        for found in re.finditer(rf"(?<!\w){re.escape(said)}(?!\w)", text, re.IGNORECASE if len(said) > 2 else 0):
            before = [stem(word) for word in pieces(text[max(0, found.start() - 40) : found.start()])][-4:]
            after = [stem(word) for word in pieces(text[found.end() : found.end() + 32])][:3]
            near = bool(label & {*before, *after})
            if isinstance(value, bool) and not near:
                continue
            common = said.lower() in STOP or len(said) == 1
            score = (0.6 if common else 2.0) + (0.8 if near else 0.0) + _labelled(wanted, before, after)
            if best is None or score > best[0]:
                best = (score, found.start(), value)
    return best


def _from_observations(wanted: Parameter, leaves: Iterable[Leaf]) -> Any:
    """A value seen under the parameter's own name, newest call first; `location.lat` serves `lat` too."""
    label = label_of(wanted.name)
    short = label.split()[-1]
    for path, value in leaves:
        key = label_of(path[-1])
        if isinstance(value, bool) is not (wanted.type == "boolean"):
            continue
        if wanted.type in ("integer", "number") and not (isinstance(value, (int, float)) and _within(value, wanted)):
            continue
        owner = f"{label_of(path[-2])} {key}" if len(path) > 1 else key
        if key == label or owner.endswith(label) or (key == short and short in ("latitude", "longitude", "id")):
            return value if wanted.type != "string" else str(value)
    return None


def _guess(wanted: Parameter, clause: str, failed: Sequence[Any]) -> Any:
    """A documented value; without one the clause's last telling words for free text, and at worst an invention."""
    for value in (*wanted.documented, *wanted.enum):
        if value not in failed:
            return value
    if wanted.kind in ("query", "text", "word", "city", "country", "person") and not failed:
        words = [word for word in pieces(clause) if word not in STOP and stems(word)]
        if words:
            return " ".join(words[-2:] if wanted.kind == "query" else words[-1:])
    return invent(wanted, Random(f"{wanted.name}{len(failed)}"), tuple(failed))


def _otherwise(
    parameters: Sequence[Parameter], instruction: str, out: Mapping[str, Any], avoid: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The same call with one required argument changed: another mention of the instruction, else a documented value."""
    tried = [dict(arguments) for arguments in avoid]
    for wanted in parameters:
        if wanted.name not in out:
            continue
        fitting = _FITS.get(wanted.kind, _NUMERIC)
        options = [
            _typed(m, wanted)
            for m in mentions(instruction)
            if m.kind in fitting and not wanted.enum and wanted.type != "boolean"
        ]
        for value in (*options, *wanted.documented, *wanted.enum):
            other = {**out, wanted.name: value}
            if value is not None and other not in tried:
                return other
    return dict(out)
