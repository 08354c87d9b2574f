"""Run a flow from the command line: progress bars while it works, a short table when it is done."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from toolbench import progress
from toolbench.cli.stopping import say_stopped
from toolbench.lake import Draft, Lake
from toolbench.settings import Settings

_console = Console(stderr=True)
_GRACE_SECONDS = 3.0
_STOPS = (signal.SIGINT, signal.SIGTERM)


def run_flow(command: str, flags: dict[str, Any], settings: Settings, report: Path | None, **extra: Any) -> None:
    """Run the flow behind `command`, show its progress, print the summary, write the report."""
    started = time.monotonic()
    lake = Lake(settings.lake)
    before = lake.snapshot()
    lake.id  # noqa: B018 - a lake that cannot be written says so now, before anything starts
    with _bars() as bars, progress.listening(bars.show), _ending_soon_after_ctrl_c(settings):
        bars.say("starting Prefect")
        done = _call(command, flags, extra)
    draft = lake.draft(done.draft) if done.draft else Draft()
    after = lake.snapshot(done.snapshot)
    left = _left(draft)
    if after.number == before.number and not left:
        typer.echo(f"Nothing changed since snapshot {after.number} of {after.created_at}; the teacher was not asked.")
    _summary(draft)
    if left:
        typer.echo(left)
    if after.number == 0:
        return
    from toolbench.report import build

    folder = report or (Path(lake.uri) / "report" if lake.store.protocol == "file" else Path("report"))
    page = build(lake, folder)
    typer.echo(f"lake      {lake.uri} (snapshot {after.number}: {sum(after.rows(t) for t in after.tables):,} rows)")
    for name, model in after.models.items():
        typer.echo(f"{name:9s} {lake.store.url(model.path)}{_ndcg(model.metrics)}")
    typer.echo(f"report    {page}")
    typer.echo(f"seconds   {time.monotonic() - started:.0f}")


def _call(command: str, flags: dict[str, Any], extra: dict[str, Any]) -> Any:
    from flows.server import start_prefect_server, wait_until_ready

    start_prefect_server()  # it starts while we import
    from flows.annotate import annotate_file, annotate_solutions
    from flows.nightly import add_category, nightly_refresh
    from flows.parameters import Options

    options = Options(more=_shown(flags))
    wait_until_ready()
    if command == "refresh":
        return nightly_refresh(options)
    if command == "add-category":
        return add_category(extra["category"], extra["source"], options)
    if command == "instruct":
        from flows.generate import generate_instructions

        return generate_instructions(options)
    if command == "screen":
        from flows.screen import screen_apis

        return screen_apis(options, None, extra["night"])
    if command == "promote":
        from flows.promote import promote_student

        return promote_student(options, extra["method"], extra["queries"], extra["base"])
    if extra["instructions"]:
        return annotate_file(options, os.fspath(Path(extra["instructions"]).absolute()), extra["limit"])
    return annotate_solutions(options)


def _shown(flags: dict[str, Any]) -> dict[str, Any]:
    """Flags without addresses that may hold a secret: those go by the environment, since Prefect keeps parameters."""
    hidden = {n: v for n, v in flags.items() if isinstance(v, str) and "://" in v and ("@" in v or "?" in v)}
    for name, value in hidden.items():
        os.environ[f"TOOLBENCH_{name.upper().replace('.', '__')}"] = value
    return {name: value for name, value in flags.items() if name not in hidden}


@contextmanager
def _ending_soon_after_ctrl_c(settings: Settings) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the flow; what is still running a little later, in threads nobody can interrupt, is left
    behind.

    Nothing is lost by that: what came from outside is in the journals within a second.
    """

    lasting = settings.teacher.batch and not settings.teacher.offline
    batches = ", batches under way are left running at the endpoint and found again" if lasting else ""

    def stop(*_: object) -> None:
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        say_stopped(f"; the same command goes on from here{batches}")
        threading.Timer(_GRACE_SECONDS, os._exit, [130]).start()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)


class _Bars:
    """One bar a stage, on standard error; on something that is no terminal, one line a finished stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}
        self._started: dict[str, float] = {}
        self._lock = threading.Lock()
        self._hint: Any = None

    def say(self, text: str) -> None:
        """A line until the first stage begins."""
        self._hint = self._bars.add_task(text, total=None)

    def show(self, event: progress.Progress) -> None:
        with self._lock:
            if self._hint is not None:
                self._bars.remove_task(self._hint)
                self._hint = None
            if event.stage not in self._tasks:
                self._tasks[event.stage] = self._bars.add_task(event.stage, total=event.total or None)
                self._started[event.stage] = time.monotonic()
            task = self._tasks[event.stage]
            total = max(event.total, event.done, 1) if event.finished else event.total or None
            done = total if event.finished else event.done
            self._bars.update(task, completed=done, total=total, description=f"{event.stage} {event.note}".strip())
            if event.finished:
                self._bars.stop_task(task)
                if not _console.is_terminal:
                    seconds = time.monotonic() - self._started[event.stage]
                    _console.print(f"{event.stage} {event.note or event.total} ({seconds:.1f} s)", highlight=False)


class _bars:
    def __enter__(self) -> _Bars:
        columns = (TextColumn("{task.description:24s}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Bars(*columns, console=_console, disable=not _console.is_terminal)
        self._bars.start()
        return _Bars(self._bars)

    def __exit__(self, *failure: object) -> None:
        self._bars.stop()


@contextmanager
def bars() -> Iterator[None]:
    """Progress of the stages that work in this process."""
    with _bars() as shown, progress.listening(shown.show):
        yield


def _summary(draft: Draft) -> None:
    if not draft.runs:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    for name in ("in", "out", "rejected", "pass rate", "calls", "tokens", "cost", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in draft.runs:
        table.add_row(
            run["stage"],
            f"{run['taken_in']:,}",
            f"{run['passed_on']:,}",
            f"{run['rejected']:,}",
            _pass_rate(run),
            f"{run['calls']:,}",
            f"{run['input_tokens'] + run['output_tokens']:,}",
            f"${run['cost']:.2f}",
            "unchanged" if run["shards"] and run["shards_reused"] == run["shards"] else f"{run['seconds']:.1f}",
        )
    Console().print(table)


def _pass_rate(run: dict[str, Any]) -> str:
    """Searches that ended with an answer, and judgments that found it good (unsure counts half)."""
    outcomes = json.loads(run["outcomes"])
    if run["stage"] == "solutions" and run["taken_in"]:
        return f"{100 * outcomes.get('solved', 0) / run['taken_in']:.0f}% solved"
    if run["stage"] == "judgments" and run["passed_on"]:
        score = outcomes.get("solved", 0) + 0.5 * outcomes.get("unsure", 0)
        return f"{100 * score / run['passed_on']:.0f}% judged"
    return ""


def _left(draft: Draft) -> str:
    """A sentence about what is left for want of budget; empty if nothing is."""
    from flows.stage import stopped

    return stopped(draft.runs)


def _ndcg(metrics: dict[str, Any]) -> str:
    """NDCG@5 before and after, where queries were held out."""
    figures = [metrics.get(when, {}).get("all", {}).get("ndcg@5", {}).get("mean") for when in ("before", "after")]
    if None in figures:
        return ""
    return f" (NDCG@5 on {metrics['queries']} held-out queries: {figures[0]:.3f} before, {figures[1]:.3f} after)"
