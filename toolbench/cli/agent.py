"""`toolbench agent`: ask, with no APIs given; or let others ask."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from toolbench.cli import options as o
from toolbench.cli.lake import published
from toolbench.cli.serve import Host, Port, UntilEof, announce
from toolbench.errors import ToolbenchError
from toolbench.lake import Lake
from toolbench.records import Step
from toolbench.settings import Settings

if TYPE_CHECKING:
    from toolbench.agent import Agent, Event

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Ask, with no APIs given; or let others ask.")

Top = Annotated[int | None, typer.Option(min=1, max=1000, help="APIs that the retriever proposes; 5 by default.")]
Method = Annotated[
    Literal["dfsdt", "react", "ranked"] | None,
    typer.Option(help="How is searched: depth-first with back-tracking (dfsdt), one chain (react), ranked."),
]


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    lake: o.Lake = None,
    top: Top = None,
    method: Method = None,
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

    settings = o.settings(
        lake=lake, agent__top=top, search__method=method, teacher__model=model, teacher__base_url=base_url
    )
    opened = Lake(settings.lake)
    snapshot = published(opened, None)
    with services(settings) as effective:
        asked = asyncio.run(agent.ask(opened, snapshot, question, effective, top=settings.agent.top, tell=_tell))
    if asked.outcome != "solved":
        raise ToolbenchError(
            f"No answer was found ({asked.reason}): say more in the question, or raise --top or search.max_calls."
        )
    typer.echo(f"\n{_plain(asked.answer)}")


@app.command()
def serve(
    lake: o.Lake = None,
    host: Host = "127.0.0.1",
    port: Port = 8704,
    top: Top = None,
    method: Method = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
    responses: o.Responses = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Questions worked on at once; 4 by default.")] = None,
    queue: Annotated[int | None, typer.Option(min=0, help="Questions that may wait; 16 by default.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Time for one question; 300 by default.")] = None,
    until_eof: UntilEof = False,
) -> None:
    """Serve the agent: an OpenAI-compatible endpoint at /v1, an MCP server at /mcp and a chat page at /.

    Clients are asked for a key if TOOLBENCH_AGENT__API_KEYS has any, separated by commas; without one only this machine
    may be listened on.

    Example: toolbench agent serve, then open http://127.0.0.1:8704/ or set OPENAI_BASE_URL=http://127.0.0.1:8704/v1
    """
    from toolbench.agent.app import KEYS, keys_of
    from toolbench.agent.app import serve as run
    from toolbench.serving.listening import check_address

    settings = o.settings(
        lake=lake,
        agent__top=top,
        agent__concurrency=concurrency,
        agent__queue=queue,
        agent__seconds=seconds,
        search__method=method,
        teacher__model=model,
        teacher__base_url=base_url,
        catalogue__responses=responses,
    )
    check_address(host, bool(keys_of(settings.agent.api_keys.get_secret_value())), KEYS)
    with _opened(settings, model=True) as agent:
        run(agent, host, port, announce("agent", host, until_eof, "/"))


@app.command()
def mcp(lake: o.Lake = None, top: Top = None, responses: o.Responses = None) -> None:
    """Serve two tools over standard input and output, as MCP clients start it: search_apis and call_api.

    What answers a call is the chain of sources that settings ask for: recorded, server, live, simulated.

    Example: claude mcp add toolbench -- toolbench agent mcp --lake /data/lake
    """
    from toolbench.agent.mcp_tools import over_stdio

    settings = o.settings(lake=lake, agent__top=top, catalogue__responses=responses)
    with _opened(settings, model=False) as agent:
        asyncio.run(over_stdio(agent))


@contextmanager
def _opened(settings: Settings, model: bool) -> Iterator["Agent"]:
    """The agent over the newest snapshot, with the services of our own that it takes: the hub, if its APIs are in the
    lake, and the offline teacher, if a `model` is to answer. Raises ToolbenchError before anything listens."""
    from toolbench.agent import Agent, retriever
    from toolbench.cli.apis import reachable
    from toolbench.services import models

    lake = Lake(settings.lake)
    with ExitStack() as stack:
        found = stack.enter_context(retriever(lake, published(lake, None)))
        effective = stack.enter_context(reachable(settings, found.apis.values()))
        if model:
            effective = stack.enter_context(models(effective))
        yield Agent(found, effective)


def _tell(event: "Event") -> None:
    from toolbench.agent import trace

    if isinstance(event, Step):
        said = _plain(trace.words(event))
        if said:
            typer.echo(said if event.observation is not None else f"\n{said}")
    else:
        typer.echo(f"{event.score:6.3f}  {_plain(event.api.id)}")


def _plain(text: str) -> str:
    """Text of models and APIs without what a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
