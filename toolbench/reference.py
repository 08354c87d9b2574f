"""The reference of settings and commands as Markdown, made from the code itself: `python -m toolbench.reference`.

`docs/configuration.md` is its output, and a test compares the two.
"""

import json
from collections.abc import Iterator
from typing import Any

import typer
from click import Context
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from toolbench.settings import Settings


def settings() -> Iterator[str]:
    """Lines: one table for the top level and one for each section."""
    sections = {name: f.annotation for name, f in Settings.model_fields.items() if _is_section(f.annotation)}
    yield from _table("", Settings, skip=set(sections))
    for name, section in sections.items():
        yield f"\n## {name}\n\n{_sentence(section.__doc__)}\n"
        yield from _table(f"{name}.", section, skip=set())


def commands() -> Iterator[str]:
    """Lines: the help of every command."""
    from toolbench.cli import app

    root = typer.main.get_command(app)
    context = Context(root, info_name="toolbench", terminal_width=100, color=False)
    for name in root.list_commands(context):  # type: ignore[attr-defined]
        command = root.get_command(context, name)  # type: ignore[attr-defined]
        yield f"\n## toolbench {name}\n"
        text = command.get_help(Context(command, info_name=name, parent=context, terminal_width=100, color=False))
        yield "```text\n" + "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n```"


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


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
