"""Conversations with other values: dates, numbers and names are replaced, each by the same one throughout.

A small model learns a few hundred conversations by heart sooner than it learns to copy. Where no value ever comes back,
copying is the only way to know what follows.
"""

import random
import re
from calendar import month_name
from collections.abc import Iterable, Iterator
from dataclasses import replace

from toolbench.dialogue import FINISH
from toolbench.digests import digest
from toolbench.records import Conversation

_MONTHS = list(month_name)[1:]
_SHORT = r"\b(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)\b"
_LONG = rf"\b(?P<day>\d{{1,2}}) (?P<month>{'|'.join(_MONTHS)}) (?P<year>\d{{4}})\b"
_NO_KEY = r'(?!"\s*:)'
_NUMBER = rf"(?<!\w)\d++{_NO_KEY}"
_LETTER = re.compile(r"[A-Za-z]")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?')
"""A JSON text; a colon follows a key."""
_LEAST = 3
"""Letters and digits of a response's text that is a value; shorter ones are units and marks."""

Date = tuple[int, int, int]


def variants(conversation: Conversation, count: int, seed: int) -> Iterator[Conversation]:
    """`count` conversations that differ from this one in their values alone; the same for the same arguments."""
    known = _texts(conversation)
    for number in range(count):
        values = _Values(random.Random(digest([conversation.id, seed, number])), known)
        yield replace(
            conversation,
            messages=[
                replace(
                    message,
                    content=message.content and values.replace(message.content),
                    tool_calls=[replace(call, arguments=values.replace(call.arguments)) for call in message.tool_calls],
                )
                for message in conversation.messages
            ],
        )


class _Values:
    """What stands for what in one variant."""

    def __init__(self, rng: random.Random, texts: Iterable[str]) -> None:
        self._rng = rng
        self._texts = {text: _same_shape(text, rng) for text in texts}
        longest_first = "|".join(re.escape(text) for text in sorted(self._texts, key=len, reverse=True))
        # Of what begins at the same letter the first kind counts.
        kinds = [_LONG, _SHORT, *([rf"(?<!\w)(?:{longest_first})(?!\w){_NO_KEY}"] if longest_first else []), _NUMBER]
        self._any = re.compile("|".join(kinds))
        self._dates: dict[Date, Date] = {}
        self._numbers: dict[str, str] = {}

    def replace(self, text: str) -> str:
        """`text` with all its values replaced; what is JSON stays JSON."""
        return self._any.sub(self._new, text)

    def _new(self, found: re.Match[str]) -> str:
        if found["month"]:
            year, month, day = self._date(int(found["year"]), 1 + _MONTHS.index(found["month"]), int(found["day"]))
            return f"{day} {_MONTHS[month - 1]} {year}"
        if found["y"]:
            return "{:04d}-{:02d}-{:02d}".format(*self._date(int(found["y"]), int(found["m"]), int(found["d"])))
        if found[0] in self._texts:
            return self._texts[found[0]]
        return self._numbers.setdefault(found[0], _same_shape(found[0], self._rng))

    def _date(self, *date: int) -> Date:
        rng, (year, month, day) = self._rng, date
        new = (rng.randint(2000, 2039), rng.randint(1, 12), rng.randint(1, 28))
        return self._dates.setdefault((year, month, day), new)


def _same_shape(text: str, rng: random.Random) -> str:
    """Other letters and digits in place of the ones that are there; no number begins with a zero."""
    found = []
    for place, old in enumerate(text):
        if old.isascii() and old.isdigit():
            found.append(str(rng.randint(int(not place), 9)))
        elif _LETTER.match(old):
            new = rng.choice("abcdefghijklmnopqrstuvwxyz")
            found.append(new if old.islower() else new.upper())
        else:
            found.append(old)
    return "".join(found)


def _texts(conversation: Conversation) -> list[str]:
    """Names and codes: arguments that the user gave in these words, and what responses say."""
    asked = "\n".join(message.content or "" for message in conversation.messages if message.role == "user")
    calls = (c for message in conversation.messages for c in message.tool_calls if c.name != FINISH)
    given = {text for call in calls for text in _strings(call.arguments) if text in asked and len(text) > 1}
    said = {
        text
        for message in conversation.messages
        if message.role == "tool"
        for text in _strings(message.content or "")
        if sum(letter.isalnum() for letter in text) >= _LEAST
    }
    return sorted(text for text in given | said if _LETTER.search(text) and not re.fullmatch(_SHORT, text))


def _strings(text: str) -> Iterator[str]:
    """JSON texts that are no keys, and read the same outside of JSON."""
    return (said for said, key in _TEXT.findall(text) if not key and "\\" not in said)
