"""`toolbench agent`: ask, with no APIs given."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from toolbench.cli import options as o
from toolbench.cli.lake import published
from toolbench.dialogue import FINISH
from toolbench.errors import ToolbenchError
from toolbench.lake import Lake
from toolbench.records import Step

if TYPE_CHECKING:
    from toolbench.agent import Event

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Ask, with no APIs given.")

_SHOWN = 300
"""Characters of an observation that are printed."""


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    lake: o.Lake = None,
    top: Annotated[int, typer.Option(min=1, help="APIs that the retriever proposes.")] = 5,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
) -> None:
    """Answer a question: the lake's retriever proposes APIs, the teacher's model searches by calling them.

    Prints the proposed APIs with their scores, thoughts and calls as they happen, then the answer. Exit code 1: no
    answer was found.

    Example: toolbench agent ask "What is the great-circle distance between Paris and Tokyo?"
    """
    from toolbench import agent
    from toolbench.services import services

    settings = o.settings(lake=lake, teacher__model=model, teacher__base_url=base_url)
    opened = Lake(settings.lake)
    snapshot = published(opened, None)
    with services(settings) as effective:
        asked = asyncio.run(agent.ask(opened, snapshot, question, effective, top=top, tell=_tell))
    if asked.outcome != "solved":
        raise ToolbenchError(
            f"No answer was found ({asked.reason}): say more in the question, or raise --top or search.max_calls."
        )
    typer.echo(f"\n{_plain(asked.answer)}")


def _tell(event: "Event") -> None:
    if isinstance(event, Step):
        _tell_step(event)
    else:
        typer.echo(f"{event.score:6.3f}  {_plain(event.api.id)}")


def _tell_step(step: Step) -> None:
    """A call comes before it is made and again with its observation; a thought alone, or a failure, comes once."""
    from toolbench.solutions.calls import GAVE_UP

    if step.observation is None:
        called = step.function is not None and step.function != FINISH
        call = f"→ {step.function} {step.arguments}" if called else ""
        said = "\n".join(_plain(text) for text in (step.thought, call) if text)
        if said:
            typer.echo(f"\n{said}")
    elif step.function != FINISH:
        text = _plain(step.observation)
        typer.echo(f"← {step.source} {step.status}: {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}")
    elif step.status == GAVE_UP:
        typer.echo("gave up here")


def _plain(text: str) -> str:
    """Text of models and APIs without what a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
