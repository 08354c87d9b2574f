"""promote-student: the newest student serves if ToolEval says so."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from pydantic import Field

from flows.evaluate import Method, answers, searching, worker
from flows.parameters import Options, run_name
from flows.stage import Done, Threads, publish
from toolbench.digests import digest
from toolbench.errors import LakeError, UsageError
from toolbench.lake import Draft, Lake, ModelEntry, Snapshot
from toolbench.promotion import Decision
from toolbench.services import served_student, services
from toolbench.settings import Settings
from toolbench.statistics import wilson
from toolbench.student import MODEL
from toolbench.student.folder import base_of
from toolbench.student.promotion import BASE, NEWEST, PREVIOUS, TRAINED, decide, models, recorded
from toolbench.student.refresh import contents
from toolbench.tooleval import gate
from toolbench.tooleval.evaluate import pass_rate
from toolbench.tooleval.runs import PassRun
from toolbench.tooleval.test_set import held_out

NAME = "promote-student"
Queries = Annotated[int, Field(ge=0)]


@flow(name=NAME, flow_run_name=run_name, task_runner=Threads)
def promote_student(options: Options, method: Method = "react", queries: Queries = 0, base: str = "") -> Done:
    """Judge the newest student on the instructions that are held out; it serves unless it is worse than before.

    Args:
        options: What is to be done, and where. The judge is the one of the settings: the teacher, if they name none.
        method: How it searches.
        queries: Held-out instructions that are asked at most, drawn by their ids. 0: all.
        base: Where the student's base is, if it was moved.
    """
    settings = options.settings()
    lake = Lake(settings.lake)
    view = lake.snapshot()
    if NEWEST not in view.models:
        raise LakeError(f"{lake.uri} has no student: run `toolbench student train` first.")
    draft = Draft()
    promote(lake, view, settings, draft, view.models[NEWEST], base, method, queries)
    return Done(draft=lake.put_draft(draft), snapshot=publish(lake, draft, NAME).number)


def promote(
    lake: Lake,
    view: Snapshot,
    settings: Settings,
    draft: Draft,
    newest: ModelEntry,
    base: str,
    method: Method = "react",
    queries: int = 0,
) -> Decision:
    """Measure the newest student against the one that serves in `view`, or against its base while none does, and put
    what serves from now on into the draft, with the two evaluations. The same instructions meet both, greedily, so that
    what was asked once is never asked again. Without a held-out instruction the newest student serves. One that serves
    already goes on as it was decided."""
    previous = view.models.get(MODEL)
    if previous is not None and previous.spec == newest.spec:
        if "decision" in previous.metrics:
            draft.models[NEWEST] = previous
            return decide(newest.spec, newest.spec, None)
        previous = None  # it came to serve before there were decisions
    with tempfile.TemporaryDirectory() as place:
        folder = lake.get_model(newest, Path(place) / TRAINED)
        against = lake.get_model(previous, Path(place) / PREVIOUS) if previous else None
        rivals = {TRAINED: (f"student-{newest.spec[:12]}", str(folder))}
        rivals |= {PREVIOUS: (f"student-{previous.spec[:12]}", str(against))} if previous else _base(folder, base)
        measured = _measure(lake, view, settings, draft, rivals, base, method, queries)
        gain = gate.against(*measured.values()) if measured else None
        decision = decide(newest.spec, previous.spec if previous else "", gain)
        figures = {name: _figures(run, method) for name, run in measured.items()}
        draft.models.update(models(recorded(lake, newest, folder, decision, figures), decision, previous))
    _show(decision, figures)
    return decision


def _base(folder: Path, base: str) -> dict[str, tuple[str, str]]:
    found = base_of(str(folder), base or None)
    # Its name as well: of a model in the local cache that is all there is.
    return {BASE: (f"base-{digest([Path(found).name, contents(Path(found))], 12)}", found)}


def _measure(
    lake: Lake,
    view: Snapshot,
    settings: Settings,
    draft: Draft,
    rivals: dict[str, tuple[str, str]],
    base: str,
    method: Method,
    queries: int,
) -> dict[str, PassRun]:
    """Who is measured → the result; empty if no instruction is held out."""
    try:
        asked = held_out(lake, view, (), queries)
    except UsageError:
        return {}
    found = {}
    with services(settings) as running:
        work = worker(lake, running)
        for who, (name, folder) in rivals.items():
            with _asked(running, name, folder, base, method) as searcher:
                gathered = answers(lake, asked, searcher, draft)
            found[who] = pass_rate(lake, view, running, gathered, draft, work, name=f"{name} {method}").run
    return found


@contextmanager
def _asked(settings: Settings, name: str, folder: str, base: str, method: Method) -> Iterator[Settings]:
    """Settings whose teacher is the student in a folder, served for the length of the block. It answers one request
    after the other, costs nothing, and says the same to the same."""
    with served_student(folder, name, base) as url:
        yield searching(settings, name, url, method).with_(
            teacher={
                "temperature": 0.0, "max_concurrency": 1, "timeout": 600.0, "gone_seconds": 600.0, "rpm": 0, "tpm": 0,
                "batch": False, "budget_calls": 0, "budget_tokens": 0, "budget_dollars": 0.0,
            }
        )  # fmt: skip


def _figures(run: PassRun, method: Method) -> dict[str, Any]:
    solved = sum(query.status == "solved" for query in run.queries)
    low, high = wilson(solved, len(run.queries)) or (0.0, 1.0)
    return {
        "method": method,
        "solved": solved,
        "solved_low": low,
        "solved_high": high,
        "queries": len(run.queries),
        "pass_rate": run.splits[-1].pass_rate.percent(),
        "judge": run.fingerprint,
    }


def _show(decision: Decision, figures: dict[str, dict[str, Any]]) -> None:
    lines = [
        f"- {name}: {f['solved']} of {f['queries']} solved, pass rate {f['pass_rate']}" for name, f in figures.items()
    ]
    create_markdown_artifact(
        "\n".join([decision.sentence(), "", *lines]), key="student-decision", description="Which student serves"
    )
    if not decision.promoted:
        get_run_logger().warning("%s", decision.sentence())
