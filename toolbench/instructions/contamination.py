"""Overlap with test instructions: what a model is measured on must not be in what it is trained on.

As GPT-3 (Brown et al. 2020, appendix C) and most after it: two texts overlap if they share a run of 13 words, case and
punctuation aside; a run that stands in more than 10 of the others is a phrase and counts for nothing. A shorter text
overlaps if the whole of it stands in the other; below 5 words, where that says nothing, only equal texts do.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from toolbench.errors import SourceError

RUN = 13
"""Words in a row."""

COMMON = 10
"""A run in more texts than that is a phrase."""

SHORTEST = 5
"""Words; shorter texts overlap with equal ones only."""

_TEXT_FIELDS = ("query", "text", "instruction")


class Contamination:
    """Test instructions, to be looked for in others."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts: list[str] = []
        self._runs: dict[bytes, int] = {}
        self._lengths: set[int] = set()
        joined: list[str] = []
        self._starts: list[int] = []
        place = 0
        for text in texts:
            words = _words(text)
            if not words:
                continue
            for run in _runs(words, RUN):
                self._runs.setdefault(run, len(self._texts))
            if len(words) < RUN:
                self._lengths.add(len(words))
            # Framed by spaces, so that only whole words are found; a line break is in no normalised text.
            line = f" {' '.join(words)} \n"
            joined.append(line)
            self._starts.append(place)
            place += len(line)
            self._texts.append(text)
        self._joined = "".join(joined)

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> Self:
        """Of texts, for example our own held-out instructions."""
        return cls(texts)

    @classmethod
    def from_files(cls, paths: Iterable[str]) -> Self:
        """Of test files (see `read_texts`). Raises SourceError for one that is none."""
        return cls(text for path in paths for text in read_texts(path))

    def __len__(self) -> int:
        """Test instructions that hold a word."""
        return len(self._texts)

    def pass_over_phrases(self, texts: Iterable[str]) -> None:
        """Forget the runs of 13 words that stand in more than 10 of `texts`: they give no test away.

        Memory is bounded by the test instructions.
        """
        counts: dict[bytes, int] = {}
        for text in texts:
            words = _words(text)
            for run in {run for run in _runs(words, RUN) if run in self._runs} if len(words) >= RUN else ():
                counts[run] = counts.get(run, 0) + 1
        for run, count in counts.items():
            if count > COMMON:
                del self._runs[run]

    def find(self, text: str) -> str | None:
        """The first test instruction that the text overlaps with, or None."""
        words = _words(text)
        found = [self._runs[run] for run in _runs(words, RUN) if run in self._runs]
        for length in self._lengths:
            if SHORTEST <= length < len(words):
                found += [self._runs[run] for run in _all_runs(words, length) if run in self._runs]
        if SHORTEST <= len(words) < RUN:
            place = self._joined.find(f" {' '.join(words)} ")
            if place >= 0:
                found.append(bisect_right(self._starts, place) - 1)
        return self._texts[min(found)] if found else None


def read_texts(path: str) -> list[str]:
    """The instructions of a test file: ToolBench's own layout, or JSON lines.

    An entry is a text, or has one as `query`, `text` or `instruction`. Raises SourceError if it is no such file.
    """
    try:
        content = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"The test file {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise SourceError(f"The test file {path} is not UTF-8 text.") from None
    entries = _entries(path, content)
    return [_text(path, number, entry) for number, entry in entries]


def _entries(path: str, content: str) -> list[tuple[int, Any]]:
    """Numbered entries of a JSON list, else of JSON lines."""
    if content.lstrip().startswith("["):
        try:
            return list(enumerate(json.loads(content), 1))
        except (ValueError, RecursionError) as error:
            raise SourceError(f"The test file {path} is not valid JSON: {error}.") from None
    entries = []
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                entries.append((number, json.loads(line)))
            except (ValueError, RecursionError) as error:
                raise SourceError(f"Line {number} of the test file {path} is not valid JSON: {error}.") from None
    return entries


def _text(path: str, number: int, entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    for field in _TEXT_FIELDS:
        value = entry.get(field) if isinstance(entry, dict) else None
        # A few published rows hold the query as a list of one.
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str):
            return value
    raise SourceError(f"Entry {number} of the test file {path} has no text `query`, `text` or `instruction`.")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _runs(words: list[str], length: int) -> Iterator[bytes]:
    """Digests of the runs of `length` words; of all the words if there are fewer."""
    return _all_runs(words, min(length, len(words))) if words else iter(())


def _all_runs(words: list[str], length: int) -> Iterator[bytes]:
    for start in range(len(words) - length + 1):
        run = " ".join(words[start : start + length])
        yield blake2b(run.encode("utf-8", "surrogatepass"), digest_size=8).digest()
