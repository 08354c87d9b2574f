"""`toolbench apis`: the APIs of a catalogue, offered to others."""

import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any

import typer

from toolbench.cli.options import Lake as LakeOption
from toolbench.cli.options import Responses, settings
from toolbench.errors import UsageError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, ResponseKeys
from toolbench.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Offer a catalogue's APIs to other programs.")


@app.callback()
def _apis() -> None:
    pass


@app.command()
def serve(
    lake: LakeOption = None,
    responses: Responses = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: any free one.")] = 8703,
    key: Annotated[str, typer.Option(help="Ask clients for this key, as `toolbench_key`.")] = "",
) -> None:
    """Serve a lake's APIs over the POST protocol of ToolBench's and StableToolBench's tool servers.

    What answers a call is the chain of sources that settings ask for: recorded, server, live, simulated.

    Example: toolbench apis serve --lake lake --port 8703, then POST to http://127.0.0.1:8703/virtual
    """
    from toolbench.apis import open_chain
    from toolbench.apis.serving import create_app
    from toolbench.serving.listening import listen

    chosen = settings(lake=lake, catalogue__responses=responses)
    place = Lake(chosen.lake)
    view = place.snapshot()
    apis = list(place.rows(view, Api))
    if not apis:
        raise UsageError(f"{place.uri} holds no APIs; `toolbench import` puts some there.")

    def ready(bound: int) -> None:
        typer.echo(f"{len(apis)} APIs: http://{host}:{bound}/virtual (Ctrl-C stops it)")
        sys.stdout.flush()

    with reachable(chosen, apis) as found:
        shorten = shortener(place, view, found.compression.max_tokens)
        app_ = create_app(open_chain(found), apis, finder(apis), key=key, shorten=shorten)
        listen(app_, host, port, ready)


def finder(apis: Sequence[Api]) -> Callable[[str, str, str], Api | None]:
    """Finds an API by the names of its category, tool and API, as their sources or as those servers spell them."""
    from toolbench.apis.wording import safe
    from toolbench.catalogue import Lookup
    from toolbench.catalogue.names import category_folder

    lookup = Lookup(apis)

    def find(category: str, tool: str, api: str) -> Api | None:
        tool = tool.removesuffix(f"_for_{category_folder(category)}")
        word = api.removeprefix("is_")
        names = [api, word] if safe(word) != word else [api]
        return next((found for name in names if (found := lookup.find(category, tool, name))), None)

    return find


def shortener(lake: Lake, view: Snapshot, max_tokens: int) -> Callable[[Api, Any], Any]:
    """Reduces a response that is too long to the keys that the lake says matter."""
    from toolbench.apis.compress import compress

    keys = {row.id: row.keys for row in lake.rows(view, ResponseKeys)}
    return lambda api, value: compress(value, keys.get(api.id, []), max_tokens)


def reachable(chosen: Settings, apis: Collection[Api]) -> AbstractContextManager[Settings]:
    """Settings with the services of our own that answering may take: the demo hub, a teacher that simulates."""
    from toolbench.apis import sources
    from toolbench.demo import HOST
    from toolbench.services import services

    chain = sources(chosen)
    hub = "live" in chain and HOST not in chosen.apis.hosts and any(f"//{HOST}/" in api.url for api in apis)
    imagined = "simulated" in chain and chosen.apis.simulator == "teacher" and chosen.teacher.offline
    return services(chosen) if hub or imagined else nullcontext(chosen)
