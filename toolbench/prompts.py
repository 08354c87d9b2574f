"""Prompts are Jinja files inside the room that uses them; a digest of the source identifies each in provenance."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

_environment = Environment(  # noqa: S701 - prompts are plain text, nothing is to be escaped
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt file: `digest` is 16 hex digits of SHA-256 over its source."""

    name: str
    digest: str
    template: Template

    def render(self, **values: Any) -> str:
        """The prompt's text. Raises jinja2.UndefinedError if a value is missing: a bug, never a user's error."""
        return self.template.render(**values).strip()


@cache
def load(package: str, name: str) -> Prompt:
    """The prompt `prompts/<name>.md.jinja` of `package`, for example `load("toolbench.solutions", "system")`."""
    source = files(package).joinpath("prompts", f"{name}.md.jinja").read_text(encoding="utf-8")
    return Prompt(name, hashlib.sha256(source.encode()).hexdigest()[:16], _environment.from_string(source))
