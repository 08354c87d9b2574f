"""`toolbench tooleval pass`: which share of a test set is solved."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolbench.cli import options as o
from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake import Draft, Lake, Snapshot
from toolbench.settings import Settings

if TYPE_CHECKING:
    from toolbench.tooleval.evaluate import Evaluated
    from toolbench.tooleval.gathering import Gathered

Answers = Annotated[
    Path | None,
    typer.Option(help="ToolBench's answer files or converted answers, a folder or a file. Without it: the lake's."),
]
Instructions = Annotated[
    list[Path] | None, typer.Option(help="A file of the test set in ToolBench's layout, each a split; may be repeated.")
]
Splits = Annotated[str | None, typer.Option("--split", help="Only these splits, separated by commas: G1_tool,G2_tool.")]
Votes = Annotated[int | None, typer.Option(min=1, max=25, help="Votes on each answer.")]
JudgeModel = Annotated[str | None, typer.Option(help="The judge's model. Without it: the teacher's.")]
JudgeUrl = Annotated[str | None, typer.Option(help="The judge's endpoint. Without it: the teacher's.")]
Counting = Annotated[
    str | None, typer.Option(help="paper: an unsolvable task is passed; solvable: every task counts as solvable.")
]
Name = Annotated[str | None, typer.Option(help="What the run is called. Without it: method and model.")]
Out = Annotated[Path | None, typer.Option(help="A file that gets the result, for the leaderboard.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("pass")(pass_)


def pass_(
    answers: Answers = None,
    instructions: Instructions = None,
    lake: o.Lake = None,
    split: Splits = None,
    votes: Votes = None,
    judge_model: JudgeModel = None,
    judge_url: JudgeUrl = None,
    counting: Counting = None,
    name: Name = None,
    seed: o.Seed = None,
    out: Out = None,
    export: Annotated[
        Path | None, typer.Option(help="A folder that gets the answers and results as ToolEval's own files.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Pass rate: which share of a test set is solved, by the votes of a judge, with what can be counted beside it.

    Queries without an answer count as failed. What was judged before is not asked again; the result is stored in the
    lake.

    Example: toolbench tooleval pass --answers data/answer --instructions G1_instruction.json --votes 3
    """
    from toolbench.cli.tooleval_show import say_rejects, show_pass, write_out

    settings = judging(lake, votes, judge_model, judge_url, counting, seed)
    opened = Lake(settings.lake)
    view = opened.snapshot()
    gathered = gather(opened, view, answers, instructions or [], split)
    draft = Draft()
    found = evaluated(opened, view, settings, [(gathered, name or "")], draft)[0]
    opened.publish(draft, "tooleval pass")
    if export:
        _export(found, export)
    if out:
        write_out(found.run, out)
    show_pass(found.run, as_json=json_)
    say_rejects(found.rejects, quiet=json_)


def judging(
    lake: str | None, votes: int | None, model: str | None, url: str | None, counting: str | None, seed: int | None
) -> Settings:
    """Settings with the judge that the flags name."""
    return o.settings(
        lake=lake, judge__votes=votes, judge__model=model, judge__base_url=url, judge__counting=counting, seed=seed
    )


def gather(
    lake: Lake, view: Snapshot, answers: Path | None, instructions: Sequence[Path], split: str | None
) -> "Gathered":
    """The answers that the flags name. Raises UsageError if there are none."""
    from toolbench.cli import tooleval_sources as sources

    splits = o.split(split) or []
    if answers is not None:
        return sources.from_files(answers, sources.queries(instructions) if instructions else None).only(splits)
    if not view.entries("solutions"):
        raise UsageError(f"The lake {lake.uri} has no solutions: run `toolbench refresh` first, or give --answers.")
    return sources.from_lake(lake, view, instructions, splits).only(splits)


def evaluated(
    lake: Lake, view: Snapshot, settings: Settings, wanted: "Sequence[tuple[Gathered, str]]", draft: Draft
) -> "list[Evaluated]":
    """Pass rates of some gathered answers with their names; the offline judge is started if settings ask for it."""
    from toolbench.cli.watch import bars
    from toolbench.services import models
    from toolbench.tooleval.evaluate import here, pass_rate

    lake.id  # noqa: B018 - a lake that cannot be written says so before anybody is asked
    with models(settings) as resolved, bars():
        work = here(lake, resolved)
        return [pass_rate(lake, view, resolved, g, draft, work, name=name) for g, name in wanted]


def _export(found: "Evaluated", folder: Path) -> None:
    from toolbench.tooleval import converted, results

    run = found.run
    place = run.name.replace("/", "_").replace(" ", "_")
    try:
        for split in sorted({row.split for row in found.rows}):
            mine = [row for row in found.rows if row.split == split]
            for where, document in (
                (folder / "converted" / place / f"{split}.json", converted.write(mine)),
                (folder / "pass_rate" / f"{split}_{place}.json", results.pass_results(run, mine, found.votes, split)),
            ):
                where.parent.mkdir(parents=True, exist_ok=True)
                where.write_text(results.dump(document), encoding="utf-8", errors="replace", newline="\n")
    except OSError as error:
        raise ToolbenchError(
            f"ToolEval's files cannot be written to {folder} ({error}): name another --export."
        ) from None
