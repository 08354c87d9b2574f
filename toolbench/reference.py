"""The reference of settings and commands as Markdown, made from the code itself: `python -m toolbench.reference`.

`docs/configuration.md` is its output, and a test compares the two.
"""

import json
from collections.abc import Iterator
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.models import CommandInfo
from typer.testing import CliRunner

from toolbench.settings import Settings


def settings() -> Iterator[str]:
    """Lines: one table for the top level and one for each section."""
    found = {name: field.annotation for name, field in Settings.model_fields.items()}
    sections = {n: kind for n, kind in found.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}
    yield from _table("", Settings, skip=set(sections))
    for name, section in sections.items():
        yield f"\n## {name}\n\n{_sentence(section.__doc__)}\n"
        yield from _table(f"{name}.", section, skip=set())


def commands() -> Iterator[str]:
    """Lines: the help of every command."""
    from toolbench.cli import app

    runner = CliRunner(env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"})
    words = [[_name(command)] for command in app.registered_commands]
    for group in app.registered_groups:
        inner: typer.Typer = group.typer_instance  # type: ignore[assignment]
        words += [[group.name or ""], *([group.name or "", _name(command)] for command in inner.registered_commands)]
    for path in sorted(words):
        yield f"\n## toolbench {' '.join(path)}\n"
        text = runner.invoke(app, [*path, "--help"], prog_name="toolbench").output
        yield "```text\n" + "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n```"


def _name(command: CommandInfo) -> str:
    return command.name or getattr(command.callback, "__name__", "").replace("_", "-")


def _table(prefix: str, model: type[BaseModel], skip: set[str]) -> Iterator[str]:
    yield "| setting | default | meaning |\n|---|---|---|"
    for name, field in model.model_fields.items():
        if name not in skip:
            meaning = _sentence(field.description).replace("|", "\\|")
            yield f"| `{prefix}{name}` | `{_default(field.default)}` | {meaning} |"


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "{}"
    return json.dumps(value, default=lambda v: list(v) if isinstance(v, tuple) else str(v))


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


def page() -> str:
    """The whole page."""
    head = (
        "# Configuration\n\n"
        "Made by `python -m toolbench.reference > docs/configuration.md`; change the code, not this page.\n\n"
        "Defaults, then `toolbench.toml`, then the environment (`TOOLBENCH_SECTION__FIELD`; `OPENAI_BASE_URL` and\n"
        "`OPENAI_API_KEY` for the teacher), then flags: what comes later wins.\n"
    )
    return "\n".join([head, *settings(), "\n# Commands", *commands()]) + "\n"


if __name__ == "__main__":
    print(page(), end="")
