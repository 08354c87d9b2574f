"""`toolbench student promote`: the newest student serves if ToolEval says so."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from toolbench.cli import options as o
from toolbench.errors import LakeError
from toolbench.lake import Lake


def promote(
    lake: o.Lake = None,
    method: Annotated[Literal["react", "dfsdt", "ranked"], typer.Option(help="How it searches.")] = "react",
    queries: Annotated[
        int, typer.Option(min=0, help="Held-out instructions asked at most, drawn by their ids; 0: all.")
    ] = 0,
    base: Annotated[str | None, typer.Option(help="Where the student's base is, if it was moved.")] = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
    seed: o.Seed = None,
    report: o.Report = None,
) -> None:
    """Serve the newest student, have it search the held-out instructions and have the answers judged: the flow
    promote-student.

    It serves from now on unless it is worse than the student that serves, or than its base while none does, beyond the
    interval of the difference. --model and --base-url name the teacher, who judges unless settings name a judge.

    Example: toolbench student promote --queries 100
    """
    from toolbench.student.promotion import NEWEST

    flags = {"lake": lake, "teacher__model": model, "teacher__base_url": base_url, "seed": seed}
    settings = o.settings(**flags)
    opened = Lake(settings.lake)
    if NEWEST not in opened.snapshot().models:
        raise LakeError(f"{opened.uri} has no student to promote: run `toolbench student train` first.")
    from toolbench.cli.watch import run_flow

    given = o.given(flags)
    where = str(Path(base).resolve()) if base and Path(base).is_dir() else base or ""
    run_flow("promote", given, settings, report, method=method, queries=queries, base=where)
    decision = opened.snapshot().models[NEWEST].metrics["decision"]
    typer.echo(decision["sentence"])
