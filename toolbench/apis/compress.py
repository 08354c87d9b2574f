"""API responses made short enough for a model (ToolLLM, section 2.1): pure functions of JSON values.

A response that is too long is reduced to the keys that matter, then shortened: lists end in a note on how many items
were left out, objects of very many keys likewise, texts are clipped on a word boundary, and what is deep goes first.
What comes out is a JSON value again. Lengths are tokens of the value's JSON text.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from toolbench import tokens
from toolbench.apis.values import read_json

MORE = "…"
"""What every note on something left out starts with, and the key under which an object has its note."""

_LEAST = 32
"""Bytes in which every value can be hinted at: `"… 262144 more characters"`."""
_ROOMY = 100
"""Bytes that an item of a list is given at least, so that a few can be read rather than many guessed at."""
_FEW = 3
"""Items of a list that are shown even if none of them can be shown whole."""
_SERIES = 40
"""An object of more keys is taken for a list of things by their ids."""
_TRIES = 12
_CLOSE = 0.98
"""A result with this share of the tokens allowed is as full as need be."""

_NOTHING = object()
_encode = json.JSONEncoder(ensure_ascii=False).encode


def compress(value: Any, keys: Sequence[str], max_tokens: int) -> Any:
    """A JSON value of at most `max_tokens` (32 or more) tokens: `value` itself if it is short enough.

    `keys` are paths as `paths` gives them; those that match nothing are ignored, and if nothing matches at all, the
    whole value is shortened. A text that holds JSON is taken for what it holds. Every scalar kept is the original's or
    ends in a note on how much of it was left out.
    """
    if fits(value, max_tokens):
        return value
    value = unpacked(value)
    reduced = _selected(value, _Wanted(keys, "")) if keys else _NOTHING
    value = value if reduced is _NOTHING else reduced
    return value if fits(value, max_tokens) else _fullest(value, max_tokens)


def fits(value: Any, max_tokens: int) -> bool:
    """Whether a JSON value has at most `max_tokens` tokens."""
    return tokens.fits(_encode(value), max_tokens)


def unpacked(value: Any) -> Any:
    """The object or list that a text holds as JSON; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return read_json(value)
        except ValueError:
            return value
    return value


def paths(value: Any) -> list[str]:
    """The path of everything below the top of a JSON value, such as `data.items[].name`, each once, in order."""
    return list(dict.fromkeys(_paths(value, "")))


def _paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if not key.startswith(MORE):
                below = f"{path}.{key}" if path else key
                yield below
                yield from _paths(item, below)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list):
                yield from _paths(item, f"{path}[]")


class _Wanted:
    """The wanted paths at and below `path`, looked up once for each name."""

    def __init__(self, keys: Sequence[str], path: str) -> None:
        self._keys, self._path = keys, path
        self._known: dict[str, _Wanted | bool] = {}

    def below(self, name: str) -> "_Wanted | bool":
        """True: all that goes by `name` is wanted; False: nothing; else what is wanted of it. `[]`: every item."""
        if name not in self._known:
            path = self._path + name if name == "[]" or not self._path else f"{self._path}.{name}"
            inner = [key for key in self._keys if key.startswith((f"{path}.", f"{path}["))]
            self._known[name] = True if path in self._keys else _Wanted(inner, path) if inner else False
        return self._known[name]


def _selected(value: Any, wanted: _Wanted | bool) -> Any:
    """What is wanted of a value; `_NOTHING` if it has none of it."""
    if isinstance(wanted, bool):
        return value if wanted else _NOTHING
    if isinstance(value, dict):
        entries = {key: _selected(item, wanted.below(key)) for key, item in value.items()}
        return {key: item for key, item in entries.items() if item is not _NOTHING} or _NOTHING
    if isinstance(value, list):
        every = wanted.below("[]")
        return [item for item in (_selected(item, every) for item in value) if item is not _NOTHING] or _NOTHING
    return _NOTHING


def _fullest(value: Any, max_tokens: int) -> Any:
    """`value` shortened to as many bytes as give no more than `max_tokens`: found by bisection, each try counted."""
    shortening = _Shortening()
    low, high = max_tokens, shortening.size(value)
    best = shortening.to(value, low)  # no value has more tokens than bytes
    room = 3 * max_tokens
    for _ in range(_TRIES):
        if high - low <= _LEAST // 2:
            break
        room = room if low < room < high else (low + high) // 2
        short = shortening.to(value, room)
        used = tokens.count(_encode(short))
        if used <= max_tokens:
            best, low = short, room
            if used >= _CLOSE * max_tokens:
                break
        else:
            high = room
        room = room * max_tokens // max(1, used)
    return best


class _Shortening:
    """Shortens parts of one value, whose sizes it remembers. Sizes are bytes of JSON text."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}

    def size(self, value: Any) -> int:
        """Bytes of a part of the value."""
        if not isinstance(value, dict | list):
            return _size(value)
        if id(value) not in self._sizes:
            self._sizes[id(value)] = _size(value)
        return self._sizes[id(value)]

    def to(self, value: Any, room: int) -> Any:
        """A part of the value in at most `room` bytes, of which there have to be 32."""
        if self.size(value) <= room:
            return value
        if isinstance(value, list):
            note = f"{MORE} {_counted(len(value), 'more item')}"
            kept = self._front(value, [2] * len(value), room - 2 - _size(note), series=True)
            if not kept:
                return f"{MORE} {_counted(len(value), 'item')}"
            return kept if len(kept) == len(value) else [*kept, _note(len(value) - len(kept), "item")]
        if isinstance(value, dict):
            return self._object(value, room)
        return _clipped(value if isinstance(value, str) else _encode(value), room)

    def _object(self, value: dict[str, Any], room: int) -> Any:
        name = MORE
        while name in value:
            name += MORE
        note = _size({name: f"{MORE} {_counted(len(value), 'more key')}"})
        first = list(islice(value, room // 4))  # no entry has fewer bytes
        overheads = [_size(key) + 4 for key in first]
        kept = self._front([value[key] for key in first], overheads, room - note, series=len(value) > _SERIES)
        if not kept:
            return f"{MORE} {_counted(len(value), 'key')}"
        short = dict(zip(value, kept, strict=False))
        return short if len(kept) == len(value) else {**short, name: _note(len(value) - len(kept), "key")}

    def _front(self, values: Sequence[Any], overheads: Sequence[int], room: int, *, series: bool) -> list[Any]:
        """The first of `values`, each with its overhead, in `room` bytes altogether.

        Of a series as many as can be shown whole, or a few of them shortened; else as many as can be hinted at.
        """
        if series and (whole := self._whole(values, overheads, room)) >= _FEW:
            return list(values[:whole])
        count = self._hinted(values[:_FEW], overheads, room, _ROOMY) if series else 0
        count = count or self._hinted(values[:1] if series else values, overheads, room, _LEAST)
        kept = list(values[:count])
        left = room - sum(overheads[:count])
        # The smallest first: what one does not need the others share.
        for rank, at in enumerate(sorted(range(count), key=lambda at: self.size(values[at]))):
            kept[at] = self.to(values[at], left // (count - rank))
            left -= self.size(values[at]) if kept[at] is values[at] else _size(kept[at])
        return kept

    def _whole(self, values: Sequence[Any], overheads: Sequence[int], room: int) -> int:
        for count, (value, overhead) in enumerate(zip(values, overheads, strict=True)):
            room -= overhead + self.size(value)
            if room < 0:
                return count
        return len(values)

    def _hinted(self, values: Sequence[Any], overheads: Sequence[int], room: int, least: int) -> int:
        """How many can be shown if each gets `least` bytes, or what it needs."""
        for count, (value, overhead) in enumerate(zip(values, overheads, strict=False)):
            room -= overhead + min(self.size(value), least)
            if room < 0:
                return count
        return len(values)


def _clipped(text: str, room: int) -> str:
    """The beginning of a text and a note on the rest, as a JSON text of at most `room` bytes."""
    room -= _size(_note(len(text), "character"))
    most = min(len(text), room)
    end = bisect_right(range(1, most + 1), room, key=lambda n: _size(text[:n]) - 2)
    word = max(text.rfind(blank, max(0, end - 40), end + 1) for blank in " \n\t")
    head = text[: word if word > 0 else end].rstrip()
    return head + _note(len(text) - len(head), "character")


def _note(count: int, what: str) -> str:
    return f"{MORE} {_counted(count, f'more {what}')}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _size(value: Any) -> int:
    return tokens.size(_encode(value))
