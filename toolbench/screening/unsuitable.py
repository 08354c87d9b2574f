"""Tools that are never offered, whatever they answer: adult content, and what somebody only tried something with."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from toolbench.records import Api, Tool
from toolbench.screening.rulebook import Pattern, Rulebook

_LONG = 120
"""Characters beyond which a title or a description is not looked up as a whole."""


class Hit(NamedTuple):
    """Why something is unsuitable."""

    reason: str
    """adult or junk."""
    rule: str
    """The word or pattern of the rules."""
    text: str
    """What it matched, with what stands around it."""
    of: str
    """Id of the tool or API that has the text."""

    @property
    def evidence(self) -> str:
        """As JSON text, for the verdict's row."""
        return json.dumps({"rule": self.rule, "text": self.text, "of": self.of}, ensure_ascii=False)


def unsuitable(tool: Tool, apis: Sequence[Api], rules: Rulebook) -> Mapping[str, Hit]:
    """By API id, why it is not to be offered; all APIs of a tool that is unsuitable itself."""
    if tool.id in rules.exceptions.passed:
        return {}
    names = [api.name for api in apis]
    title = tool.title or tool.name
    whole = adult(tool.id, title, tool.description, rules) or _junk_tool(tool, names, rules)
    harmless = _keeps(f"{title} . {tool.description[: rules.adult.read]}", rules)
    found = {}
    for api in apis:
        hit = whole or _junk_api(api, rules)
        if not hit and not harmless:
            hit = adult(api.id, api.name, api.description, rules)
        if hit and api.id not in rules.exceptions.passed:
            found[api.id] = hit
    return found


def adult(of: str, name: str, description: str, rules: Rulebook) -> Hit | None:
    """A word of adult content in a name or in the beginning of a description."""
    part = rules.adult
    text = _spaced(f"{name[: part.read]} . {description[: part.read]}")
    if not _words(part.words).search(text) or _keeps(text, rules):
        return None
    text = _without(text, part.allow)
    found = _words(part.words).search(text)
    return Hit("adult", found[0].lower(), _around(text, found), of) if found else None


def _keeps(text: str, rules: Rulebook) -> bool:
    """It is about finding such content or keeping it away."""
    return any(pattern.search(text) for pattern in rules.adult.keep)


def _junk_tool(tool: Tool, names: Sequence[str], rules: Rulebook) -> Hit | None:
    part = rules.junk
    title, description = _trimmed(tool.title or tool.name), _trimmed(tool.description)
    if found := _whole(title, part.titles):
        return Hit("junk", found.pattern, title, tool.id)
    empty_words = (*part.descriptions, *part.mashed)
    if found := _whole(description, empty_words):
        says_nothing = (*part.vague, *part.titles, *empty_words)
        if _whole(title, says_nothing) or all(_whole(_trimmed(name), says_nothing) for name in names):
            return Hit("junk", found.pattern, f"{title}: {description}", tool.id)
    return _junk_text(tool.id, (title[: part.read], description[: part.read]), (*part.texts, *part.adverts), rules)


def _junk_api(api: Api, rules: Rulebook) -> Hit | None:
    part = rules.junk
    name, description = _trimmed(api.name), _trimmed(api.description)
    if (found := _whole(name, part.titles)) and (
        not description or _whole(description, (*part.titles, *part.descriptions, *part.mashed))
    ):
        return Hit("junk", found.pattern, f"{name}: {description}", api.id)
    return _junk_text(api.id, (name[: part.read], description[: part.read]), part.adverts, rules)


def _junk_text(of: str, texts: Sequence[str], patterns: Sequence[Pattern], rules: Rulebook) -> Hit | None:
    for text in texts:
        text = _without(text, rules.junk.allow)
        for pattern in patterns:
            if found := pattern.search(text):
                return Hit("junk", pattern.pattern, _around(text, found), of)
    return None


def _whole(text: str, patterns: Sequence[Pattern]) -> Pattern | None:
    """The first pattern that a text is one of; a long text says something."""
    return None if len(text) > _LONG else next((pattern for pattern in patterns if pattern.fullmatch(text)), None)


def _without(text: str, patterns: Sequence[Pattern]) -> str:
    for pattern in patterns:
        text = pattern.sub(" ", text)
    return text


def _trimmed(text: str) -> str:
    """In one line, without the marks and signs around it."""
    return re.sub(r"^[^\w\"'.(]+|[\s!.:;,_-]+$", "", " ".join(text.split()))


def _spaced(text: str) -> str:
    """Words of CamelCase and snake_case apart, so that they are found as words."""
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])|_+", " ", text).split())


@lru_cache(maxsize=4)
def _words(words: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    # A pattern that never matches, for a list without words.
    return re.compile(r"(?<!\w)(?:" + ("|".join(map(re.escape, longest_first)) or r"(?!)") + r")(?!\w)", re.IGNORECASE)


def _around(text: str, found: re.Match[str]) -> str:
    return text[max(0, found.start() - 60) : found.end() + 60].strip()
