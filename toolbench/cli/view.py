"""`toolbench view`: a report in the browser, of a lake while a night runs or of ToolBench's answer files."""

import json
import os
import signal
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer

from toolbench.cli.options import settings
from toolbench.cli.serve import UntilEof, announce
from toolbench.errors import UsageError
from toolbench.lake import Lake


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(view)


def view(
    place: Annotated[
        str | None, typer.Argument(metavar="[LAKE]", help="A lake, or a folder of ToolBench's answer files.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0: any free one.")] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on; of this machine alone.")] = "127.0.0.1",
    labels: Annotated[
        Path | None, typer.Option(help="People's labels, to compare judges with (docs/tooleval.md).")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
    until_eof: UntilEof = False,
) -> None:
    """Look at a lake in the browser; while a night runs, pages say what it is at and show each new snapshot.

    Example: toolbench view lake
    """
    from toolbench.report.answers import answers_into
    from toolbench.report.serving import check_loopback, serve
    from toolbench.report.viewing import Viewer

    check_loopback(host)
    said = ""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="toolbench-view-")))
        lake = _lake(place)
        if lake is None:
            lake, said = Lake(str(folder / "lake")), Path(str(place)).resolve().name
            read, refused = answers_into(lake, Path(str(place)).expanduser())
            if not read:
                raise UsageError(f"None of the {refused:,} JSON files in {place} is one of ToolBench's answers.")
            typer.echo(f"{read:,} answers read" + (f", {refused:,} files are none" if refused else ""), err=True)
        elif lake.numbers():
            typer.echo("making pages …", err=True)
        viewer = stack.enter_context(Viewer(lake, folder / "pages", labels=labels, answers=said))
        # Asked to end, it ends as by Ctrl-C: what it wrote goes.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        with suppress(KeyboardInterrupt):
            serve(viewer, host, port, _ready(f"[{host}]" if ":" in host else host, browser, until_eof))


def _ready(host: str, browser: bool, until_eof: bool) -> Callable[[int], None]:
    """What says that the server listens, and opens the browser."""

    def ready(port: int) -> None:
        if until_eof:
            threading.Thread(target=_end_at_eof, daemon=True).start()
            typer.echo(json.dumps({"port": port}))
            sys.stdout.flush()
            return
        announce("report", host, until_eof, "/")(port)
        if browser:
            threading.Thread(target=webbrowser.open, args=(f"http://{host}:{port}/",), daemon=True).start()

    return ready


def _end_at_eof() -> None:
    """Our parent is gone, or wants us gone."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _lake(place: str | None) -> Lake | None:
    """The lake that `place` names, or settings where it names none; None for a folder of answers.

    Raises UsageError for what is neither.
    """
    if place is None or "://" in place:
        return Lake(settings(lake=place).lake)
    folder = Path(place).expanduser()
    if (folder / "lake.json").is_file() or (folder / "manifests").is_dir():
        return Lake(place)
    if not folder.is_dir():
        raise UsageError(f"There is no folder {place}: name a lake, or a folder of ToolBench's answer files.")
    if next(folder.rglob("*.json"), None) is None:
        raise UsageError(f"{place} is neither a lake nor a folder of ToolBench's answer files: it holds no JSON file.")
    return None
