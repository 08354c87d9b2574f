"""`toolbench up`: the whole factory on this machine, with Prefect's UI, until Ctrl-C."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolbench.cli import options as o
from toolbench.errors import UsageError
from toolbench.settings import Settings

if TYPE_CHECKING:
    from toolbench.cli.up_programs import Place

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 0.5
_SERVICES = {"hub": 8701, "teacher": 8702}
"""Those of the commands, if they are free: a run that is tried again another day finds them where they were."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(up)


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Prefect's UI and API.")] = 4200,
    folder: Annotated[
        Path, typer.Option(help="Where Prefect's database, the S3 server's objects and logs are kept.")
    ] = Path(".toolbench"),
    database: Annotated[
        str,
        typer.Option(
            envvar="PREFECT_SERVER_DATABASE_CONNECTION_URL",
            show_envvar=True,
            help="A PostgreSQL database, postgresql://user:password@host/name. Without it: SQLite in the folder.",
        ),
    ] = "",
    s3: Annotated[bool, typer.Option("--s3", help="Start an S3 server, too, and put the lake there.")] = False,
    s3_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of that server.")] = 4566,
    lake: o.Lake = None,
    catalogue: o.Catalogue = None,
    responses: o.Responses = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
) -> None:
    """Run the factory here until Ctrl-C: a Prefect server with its UI, all deployments, and workers for them.

    The demo hub and the offline teacher run as well if nothing else is configured. What was done and planned is kept in
    the folder, and the same command goes on from there.

    Example: toolbench up --port 4300 --s3
    """
    from toolbench.cli.up_programs import Place

    flags = {"catalogue__source": catalogue, "catalogue__responses": responses, "teacher__model": model}
    effective = _settled(o.settings(lake=lake, teacher__base_url=base_url, **flags), s3)
    place = Place(folder.expanduser().absolute(), port, s3_port if s3 else 0, database)
    with _stopping() as stopping, place.alone():
        place.check()
        try:
            with ExitStack() as stack:
                _run(stack, stopping, place, effective)
        except KeyboardInterrupt:
            typer.echo("toolbench: stopped; the same command goes on from here.", err=True)


def _settled(effective: Settings, s3: bool) -> Settings:
    """Settings that mean the same in every folder. Raises UsageError for a lake that only one process can see."""
    if effective.lake.startswith("memory://"):
        raise UsageError(f"The lake {effective.lake} is in one process's memory: give a folder or s3://bucket/prefix.")
    if s3 and not effective.lake.startswith("s3://"):
        effective = effective.model_copy(update={"lake": "s3://toolbench/lake"})
    catalogue, base = effective.catalogue, effective.retriever.base
    return effective.model_copy(update={"lake": _path(effective.lake)}).with_(
        catalogue={"source": _path(catalogue.source), "responses": _path(catalogue.responses)},
        retriever={"base": base if base == "minilm" else _path(base)},
        screening={"rules": _path(effective.screening.rules)},
    )


def _path(text: str) -> str:
    """An absolute path; what is no path stays as it is."""
    return text if not text or "://" in text or text.startswith("stdio:") else str(Path(text).expanduser().absolute())


class _Stopping:
    """What Ctrl-C, SIGTERM and the end of the terminal do: the first stops in order, the second at once."""

    mark = ""

    def __call__(self, *_: object) -> None:
        for number in _STOPS:
            signal.signal(number, self._at_once)
        typer.echo("\nstopping …")
        raise KeyboardInterrupt

    def _at_once(self, *_: object) -> None:
        from toolbench.programs import end_all

        if self.mark:
            end_all(self.mark, 0)
        os._exit(130)


@contextmanager
def _stopping() -> Iterator[_Stopping]:
    stop = _Stopping()
    before = {number: signal.signal(number, stop) for number in _STOPS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(stack: ExitStack, stopping: _Stopping, place: "Place", effective: Settings) -> None:
    """Start everything and wait. Ends with KeyboardInterrupt, or ToolbenchError if something did not start or ended.

    What started first is stopped last: flow runs have a server to report to and a lake to write to until they are gone.
    """
    from toolbench.cli.up_programs import POOLS, deploy, environment, ready, s3_server, server, worker
    from toolbench.programs import marked, stop
    from toolbench.services import services

    typer.echo(f"starting; logs are in {place.folder / 'logs'}")
    stopping.mark = stack.enter_context(marked(place.folder))
    running = [server(stack, place, environment(effective, place))]
    if place.s3_port:
        running.append(s3_server(stack, place))
        ready(running[1], f"{place.s3_url}/_ministack/health", "The S3 server")
    started = stack.enter_context(services(effective, {name: place.usual(port) for name, port in _SERVICES.items()}))
    variables = environment(started, place)
    ready(running[0], f"{place.api}/health", "The Prefect server")
    deploy(place, variables)
    workers = [worker(place, pool, variables) for pool in POOLS]
    stack.callback(stop, workers)
    _say(place, effective)
    while True:
        for program in [*running, *workers]:
            if program.ended:
                raise program.failed(f"{program.name} ended by itself")
        time.sleep(_POLL_SECONDS)


def _say(place: "Place", effective: Settings) -> None:
    """Where things are, and what to try first."""
    url = place.api.removesuffix("/api")
    hub = not effective.catalogue.source
    typer.echo(f"Prefect's UI   {url}   (Ctrl-C stops everything)")
    typer.echo(f"lake           {effective.lake}")
    if place.s3_port:
        typer.echo(f"S3 server      {place.s3_url}, keys {place.s3_key} and {place.s3_key}")
    typer.echo(f"APIs           {'the demo hub' if hub else effective.catalogue.source}")
    typer.echo(f"teacher        {'offline, by rules' if effective.teacher.offline else effective.teacher.model}")
    typer.echo("Try next, from another terminal:")
    typer.echo(f"  export PREFECT_API_URL={url}/api")
    typer.echo("  prefect deployment run nightly-refresh/nightly      the whole way, as every night at 02:00 UTC")
    typer.echo(f"  an OpenAPI document in {effective.lake}/inbox/Weather/ is taken up within a minute")
    typer.echo(f"or the form of add-category: {url}/deployments")
