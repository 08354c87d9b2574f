"""The `toolbench` command."""

import os
import sys
from typing import NoReturn

import typer

from toolbench import __version__
from toolbench.cli import (
    agent,
    apis,
    doctor,
    export,
    importing,
    instruct,
    lake,
    look,
    retriever,
    run,
    screen,
    serve,
    student,
    tooleval,
    up,
    view,
)
from toolbench.cli.stopping import say_stopped
from toolbench.errors import ToolbenchError

STOPPED = 130
"""The exit code of Ctrl-C."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A data factory for language models that use tools: from a catalogue of APIs to a published dataset.",
)
for module in (importing, screen, instruct, run, up, look, view, doctor, serve):
    module.register(app)
app.add_typer(agent.app, name="agent")
app.add_typer(apis.app, name="apis")
app.add_typer(export.app, name="export")
app.add_typer(lake.app, name="lake")
app.add_typer(retriever.app, name="retriever")
app.add_typer(student.app, name="student")
app.add_typer(tooleval.app, name="tooleval")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"toolbench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line. Exit code 0: done; 1: it failed; 2: the command itself is wrong; 130: Ctrl-C."""
    _quiet_prefect()
    try:
        app(standalone_mode=True)
    except ToolbenchError as error:
        typer.echo(f"toolbench: {error}", err=True)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.code == STOPPED:
            say_stopped()
        raise
    sys.exit(0)


def _quiet_prefect() -> None:
    """Before Prefect is imported: no telemetry, no look for updates, and its console log is not our output."""
    for name, value in {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_CLI_PROMPT": "false",
    }.items():
        os.environ.setdefault(name, value)
