"""Data that pages load without fetch, which browsers refuse to a page opened from a file: scripts that hand over JSON.

Every line of such a script is one call, `toolbench.data(kind, key, value);`. Files are only ever appended to, so what
belongs to one solution may come from several tables without any of them being in memory.
"""

import json
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

_HELD = 48 * 2**20
"""Characters that wait for their files, at most: fewer and larger writes."""

_MOST = 2**16


def line(kind: str, key: str | int, value: Any) -> str:
    """One call. Pure ASCII, and without `<`: no text can end the script, its line, or a string in it."""
    return f"toolbench.data({_literal([kind, key, value])[1:-1]});\n"


_ENCODE = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode
"""Made once: `json.dumps` makes an encoder for every value."""


def _literal(value: Any) -> str:
    return _ENCODE(value).replace("<", "\\u003c")


def bucket(key: str, count: int) -> int:
    """The number of the file, of `count` (a power of two), that holds what belongs to `key`; pages compute the same."""
    return zlib.crc32(key.encode("utf-8", "replace")) & (count - 1)


def buckets_for(rows: int, each: int) -> int:
    """How many files give about `each` of `rows` to one: a power of two."""
    return min(_MOST, 1 << max(0, -(-rows // each) - 1).bit_length())


class Buckets:
    """Scripts `<folder>/<number>.js` with what belongs to a key; the same calls in the same order give the same bytes.

    `with Buckets(folder, 64) as trees: trees.add("tree", solution.id, {…})`
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.count = count
        self._folder = folder
        self._held: dict[int, list[str]] = defaultdict(list)
        self._size = 0

    def __enter__(self) -> "Buckets":
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in range(self.count):
            self._path(number).write_bytes(b"")  # a page may ask for any of them
        return self

    def __exit__(self, *failure: object) -> None:
        self.flush()

    def add(self, kind: str, key: str, value: Any) -> None:
        """Put what belongs to `key` behind what is there."""
        text = line(kind, key, value)
        self._held[bucket(key, self.count)].append(text)
        self._size += len(text)
        if self._size >= _HELD:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for number in sorted(self._held):
            with self._path(number).open("ab") as file:
                file.write("".join(self._held[number]).encode("ascii"))
        self._held.clear()
        self._size = 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04x}.js"
