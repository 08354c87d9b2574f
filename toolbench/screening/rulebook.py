"""The words, patterns and limits that screening goes by, from TOML: ours, or a user's in place of it."""

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError

from toolbench.digests import digest
from toolbench.errors import UsageError
from toolbench.records import VerdictName


def _compiled(text: Any) -> re.Pattern[str]:
    if not isinstance(text, str):
        raise ValueError("a pattern is a text")
    try:
        return re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None


def _lowered(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError("a word is a text that is not empty")
    return text.strip().lower()


Pattern = Annotated[re.Pattern[str], PlainValidator(_compiled)]
Word = Annotated[str, PlainValidator(_lowered)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Responses(_Part):
    """How to see that a response with a good status is none."""

    longest_message: int = Field(ge=1)
    error_keys: frozenset[Word]
    message_keys: frozenset[Word]
    wrapper_keys: frozenset[Word]
    state_keys: frozenset[Word]
    failed: frozenset[Word]
    other_keys: frozenset[Word]


class ErrorKind(_Part):
    """What error messages of one kind say, and what an API is rated that says nothing better."""

    reason: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    verdict: VerdictName
    about_arguments: bool = False
    patterns: tuple[Pattern, ...]


class Adult(_Part):
    """Words of adult content, passages in which they do not count, and signs of tools against it."""

    read: int = Field(ge=0)
    words: tuple[Word, ...]
    allow: tuple[Pattern, ...] = ()
    keep: tuple[Pattern, ...] = ()


class Junk(_Part):
    """Signs of tools that somebody only tried something with."""

    read: int = Field(ge=0)
    titles: tuple[Pattern, ...]
    descriptions: tuple[Pattern, ...]
    vague: tuple[Pattern, ...]
    mashed: tuple[Pattern, ...]
    texts: tuple[Pattern, ...]
    adverts: tuple[Pattern, ...]
    allow: tuple[Pattern, ...] = ()


class Exceptions(_Part):
    """What passes whatever is found in its words."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    passed: frozenset[str] = Field(default=frozenset(), alias="pass")
    """Ids of tools and APIs."""


class Rulebook(_Part):
    """All of it."""

    responses: Responses
    errors: tuple[ErrorKind, ...]
    adult: Adult
    junk: Junk
    exceptions: Exceptions = Exceptions()
    digest: str = ""
    """Of the file's values: layout and comments do not count."""


def shipped() -> str:
    """The text of the rules that toolbench brings along."""
    return files("toolbench.screening").joinpath("rules.toml").read_text(encoding="utf-8")


def load(path: str = "") -> Rulebook:
    """The rules of a TOML file, ours without one. Raises UsageError naming the file and the key that is wrong."""
    if not path:
        return _ours()
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or "it is no file"
        raise UsageError(f"The screening rules {path} cannot be read: {reason}; name a TOML file.") from None
    except ValueError:
        raise UsageError(f"The screening rules {path} are not UTF-8 text; name a TOML file.") from None
    return parse(text, path)


@lru_cache(maxsize=1)
def _ours() -> Rulebook:
    return parse(shipped(), "rules.toml")


def parse(text: str, name: str) -> Rulebook:
    """The rules in `text`, which messages call `name`. Raises UsageError."""
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"The screening rules {name} are not valid TOML: {error or 'nested too deeply'}.") from None
    if "digest" in values:
        raise UsageError(_wrong(name, "digest", "there is no such key"))
    try:
        # Through text: TOML's dates have no place here, and the error then names their key as any other's.
        return Rulebook.model_validate({**values, "digest": digest(_plain(values))})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        said = {"extra_forbidden": "there is no such key", "missing": "it is missing"}
        message = said.get(first["type"], str(first["msg"]).removeprefix("Value error, "))
        raise UsageError(_wrong(name, key, message)) from None


def _wrong(name: str, key: str, message: str) -> str:
    message = " ".join(message.split()).rstrip(".")
    start = "`toolbench screen --print-rules` prints a file to start from"
    return f"The screening rules {name}, key {key}: {message}; {start}."


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, int) else str(value)
