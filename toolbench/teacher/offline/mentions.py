"""Mentions: the concrete values a text names (numbers, dates, quoted text, names, …), with where they stand."""

import re
from dataclasses import dataclass
from typing import Any

from toolbench.teacher.offline.words import LEXICON

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_NUMBER = r"-?\d+(?:,\d{3})+(?:\.\d+)?(?!\d)|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_PATTERNS = (
    ("json", r"\{\"[^{}\n]*\}|\[(?:[^\[\]\n]|\[[^\[\]\n]*\])*\]"),
    ("url", r"https?://[^\s\"'<>)]*[^\s\"'<>).,;?!]"),
    ("email", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("quoted", r"\"[^\"\n]{1,400}\"|“[^”\n]{1,400}”|(?<!\w)'[^'\n]{1,200}'(?!\w)"),
    ("uuid", r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
    ("ip", r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
    ("colour", r"#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b"),
    ("datetime", r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?"),
    ("date", r"\b\d{4}-\d{2}-\d{2}\b"),
    (
        "longdate",
        rf"\b(?:(?:{_MONTHS}) {_DAY},? \d{{4}}|{_DAY} (?:{_MONTHS})(?: \d{{4}})?)\b",
    ),
    ("time", r"\b\d{1,2}:\d{2}(?::\d{2})?\b"),
    (
        "zone",
        r"\b(?:Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)/[A-Za-z_]+(?:/[A-Za-z_]+)?\b",
    ),
    ("token", r"\b(?=[\w-]*[a-zA-Z])(?=[\w-]*\d)\w+(?:[-_]\w+)*\b|\b\w+_\w+\b|\b[a-z]+-[A-Z]{2}\b"),
    ("number", rf"(?<![\w.])(?:{_NUMBER})"),
    ("code", r"\b[A-Z]{2,5}(?:[-=/][A-Z]{2,5})?\b"),
    (
        "name",
        r"\b[A-Z][\w'’-]*[a-zà-ÿ](?:(?: (?:of|the|de|da|del|la|los|und|y))? [A-Z][\w'’-]*)*"
        r"(?:, [A-Z][a-zA-Z]+(?=[.?!,;]|$| and))?",
    ),
)
_MENTION = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS))
_MONTH_NUMBER = {month.lower(): number for number, month in enumerate(_MONTHS.split("|"), start=1)}

_NO_NAME = frozenset(LEXICON["no_name"])
"""Words that begin sentences: a capital letter there does not make a name."""


@dataclass(frozen=True, slots=True)
class Mention:
    """One value of a text: text, a number, or a list for `numbers` and `texts`; `start` and `end` are offsets."""

    kind: str
    value: Any
    start: int
    end: int


def number_of(text: str) -> int | float:
    """`1,250.5` as 1250.5 and `7` as 7."""
    text = text.replace(",", "")
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def _iso(text: str) -> str:
    """`March 5, 2026` and `5 March 2026` as `2026-03-05`; a date without a year stays as it is."""
    month = next(number for name, number in _MONTH_NUMBER.items() if name in text.lower())
    digits = re.findall(r"\d+", text)
    year = next((d for d in digits if len(d) == 4), None)
    day = next((d for d in digits if len(d) < 3), "1")
    return f"{year}-{month:02d}-{int(day):02d}" if year else text


def _mention(found: re.Match[str]) -> Mention | None:
    kind, text, start, end = str(found.lastgroup), found.group(), found.start(), found.end()
    if kind == "quoted":
        return Mention(kind, text[1:-1], start, end)
    if kind == "number":
        return Mention(kind, number_of(text), start, end)
    if kind == "longdate":
        return Mention("date", _iso(text), start, end)
    if kind != "name":
        return Mention(kind, text, start, end)
    words = text.split(" ")
    while (words and words[0].lower().rstrip("'’s") in _NO_NAME | {""}) or (words and words[0].lower() in _NO_NAME):
        start += len(words.pop(0)) + 1
    value = " ".join(words)
    return Mention(kind, value.removesuffix("'s").removesuffix("’s"), start, end) if value[:1].isupper() else None


def _runs(text: str, found: list[Mention], kind: str, joined: str) -> list[Mention]:
    """Neighbours of one kind joined by commas and a last "and" ("3, 7 and 12") as one more mention holding the list."""
    out: list[Mention] = []
    run: list[Mention] = []
    for mention in [*found, Mention("", None, len(text), len(text))]:
        between = text[run[-1].end : mention.start] if run else ""
        if mention.kind == kind and (not run or re.fullmatch(r",? (?:and|or) |, ?", between)):
            run.append(mention)
            continue
        if len(run) > 1:
            out.append(Mention(joined, [m.value for m in run], run[0].start, run[-1].end))
        run = [mention] if mention.kind == kind else []
    return out


def mentions(text: str) -> list[Mention]:
    """Every value `text` names, in order; runs of numbers or quoted words are there both one by one and as a list."""
    single = [mention for found in _MENTION.finditer(text) if (mention := _mention(found)) is not None]
    lists = (
        _runs(text, single, "number", "numbers")
        + _runs(text, single, "quoted", "texts")
        + _runs(text, single, "name", "texts")
    )
    return sorted(single + lists, key=lambda mention: (mention.start, -mention.end))
