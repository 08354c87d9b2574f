"""A search that needs no server: words and facets → documents, in scripts of which a page loads only those it needs.

Below the index's folder:

    index.js             how many documents, a page's size, the facets with their counts, which word files there are
    docs/<page>.js       what a list shows of 50 documents
    words/<start>.js     word → documents, for the words that start so
    facets/<number>.js   one value of a facet → documents

Documents are numbered from 0 as they were added; a list of them is ascending and written as differences. In lists of
words the lowest bit tells whether the word is in a strong text, such as a name.
"""

import re
import unicodedata
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolbench.report.scripts import line

PAGE = 50
"""Documents of one file."""

_LONGEST = 40
_COMMON, _FEW = 0.5, 2_000
"""A word in more than this share of at least so many documents finds nothing that is sought."""

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words(text: str) -> set[str]:
    """The words of a text, lower case; `getWeather` is that one and both of its parts."""
    text = unicodedata.normalize("NFKC", text)
    found = {word.lower()[:_LONGEST] for word in _WORD.findall(text)}
    parted = _CAMEL.sub(" ", text)
    if parted != text:
        found |= {word.lower()[:_LONGEST] for word in _WORD.findall(parted)}
    return found


class SearchIndex:
    """Writes an index: `add` every document, then `finish`. In memory are numbers: four bytes a word and document."""

    def __init__(self, folder: Path, facets: Sequence[str]) -> None:
        self._folder = folder
        self._words: dict[str, array[int]] = {}
        self._facets: dict[str, dict[str, array[int]]] = {name: {} for name in facets}
        self._page: list[Any] = []
        self._count = 0
        for name in ("docs", "words", "facets"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def add(self, row: Sequence[Any], strong: str, weak: str, facets: Mapping[str, str]) -> None:
        """A document: what a list shows of it, its texts, and its value of each facet."""
        number = self._count
        named = words(strong)
        for word in named:
            self._words.setdefault(word, array("I")).append(2 * number + 1)
        for word in words(weak) - named:
            self._words.setdefault(word, array("I")).append(2 * number)
        for name, value in facets.items():
            self._facets[name].setdefault(value, array("I")).append(number)
        self._page.append(row)
        self._count += 1
        if len(self._page) == PAGE:
            self._flush()

    def finish(self) -> None:
        """Write words, facets and the index itself."""
        self._flush()
        common = sorted(
            w for w, docs in self._words.items() if self._count > _FEW and len(docs) > _COMMON * self._count
        )
        for word in common:
            del self._words[word]
        width = _width(sum(map(len, self._words.values())))
        starts = self._write_words(width)
        listed, number = {}, 0
        for name, values in self._facets.items():
            listed[name] = [[value, len(values[value])] for value in sorted(values)]
            for value in sorted(values):
                self._write(f"facets/{number}", line("facet", f"{name}:{value}", list(_differences(values[value]))))
                number += 1
        described = {"count": self._count, "page": PAGE, "facets": listed, "common": common, "width": width}
        self._write("index", line("index", self._folder.name, {**described, "starts": starts}))

    def _write_words(self, width: int) -> list[str]:
        grouped: dict[str, list[str]] = {}
        for word in self._words:
            grouped.setdefault(start(word, width), []).append(word)
        for name, mine in grouped.items():
            mine.sort()
            lines = [line("listed", name, mine)]
            lines += (line("word", word, list(_differences(self._words[word]))) for word in mine)
            self._write(f"words/{name}", "".join(lines))
        return sorted(grouped)

    def _flush(self) -> None:
        if self._page:
            page = (self._count - 1) // PAGE
            self._write(f"docs/{page}", line("docs", page, self._page))
            self._page = []

    def _write(self, name: str, text: str) -> None:
        (self._folder / f"{name}.js").write_bytes(text.encode("ascii"))


def start(word: str, width: int) -> str:
    """The name of the file that holds a word: never one that a file system keeps for itself."""
    begin = word[:width]
    return f"w-{begin}" if begin.isascii() else f"x-{zlib.crc32(begin.encode()) & 63:02d}"


def _width(postings: int) -> int:
    """First letters that share a file: more of them where there is more to hold."""
    return 1 if postings < 50_000 else 2 if postings < 1_000_000 else 3


def _differences(numbers: Iterable[int]) -> Iterator[int]:
    before = 0
    for number in numbers:
        yield number - before
        before = number
