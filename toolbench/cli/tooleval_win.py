"""`toolbench tooleval win`: how often one run's answers beat another's."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolbench.cli import options as o
from toolbench.cli import tooleval_pass as p
from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake import Draft, Lake, Snapshot

if TYPE_CHECKING:
    from toolbench.tooleval.gathering import Gathered
    from toolbench.tooleval.runs import WinRun


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("win")(win)


def win(
    against: Annotated[
        str,
        typer.Option(
            help="The reference: answer files or converted answers, the name of an earlier run in the lake, or "
            "snapshot:NUMBER of the lake."
        ),
    ],
    answers: p.Answers = None,
    instructions: p.Instructions = None,
    lake: o.Lake = None,
    split: p.Splits = None,
    votes: p.Votes = None,
    judge_model: p.JudgeModel = None,
    judge_url: p.JudgeUrl = None,
    counting: p.Counting = None,
    name: p.Name = None,
    reference_name: Annotated[str | None, typer.Option(help="What the reference is called.")] = None,
    seed: o.Seed = None,
    out: p.Out = None,
    export: Annotated[Path | None, typer.Option(help="A folder that gets the preferences as ToolEval's files.")] = None,
    json_: p.AsJson = False,
) -> None:
    """Win rate: solved first, then steps, then the answers' quality by a judge in both orders, then the paths.

    Both runs are judged by the same judge first; ties count half.

    Example: toolbench tooleval win --answers mine --against data/answer --instructions G1_instruction.json
    """
    from toolbench.cli.tooleval_show import say_rejects, show_win, write_out
    from toolbench.cli.watch import bars
    from toolbench.services import models
    from toolbench.tooleval.evaluate import here, win_rate

    settings = p.judging(lake, votes, judge_model, judge_url, counting, seed)
    opened = Lake(settings.lake)
    view = opened.snapshot()
    files = instructions or []
    ours = p.gather(opened, view, answers, files, split)
    theirs, called = _reference(opened, view, against, files, split)
    draft = Draft()
    with models(settings) as resolved:
        wanted = [(ours, name or ""), (theirs, reference_name or called)]
        both = p.evaluated(opened, view, resolved, wanted, draft)
        if both[0].run.name == both[1].run.name:
            raise UsageError(f"Both runs are called {both[0].run.name!r}: give --name or --reference-name.")
        with bars():
            run, rejects = win_rate(opened, resolved, both[0], both[1], draft, here(opened, resolved))
    opened.publish(draft, "tooleval win")
    if export:
        _export(run, export)
    if out:
        write_out(run, out)
    show_win(run, as_json=json_)
    say_rejects([*both[0].rejects, *both[1].rejects, *rejects], quiet=json_)


def _reference(
    lake: Lake, view: Snapshot, against: str, files: list[Path], split: str | None
) -> "tuple[Gathered, str]":
    """The answers to compare with, and what they are called. Raises UsageError if there are none."""
    from toolbench.records import Answered
    from toolbench.tooleval.gathering import Gathered

    if against.startswith("snapshot:") and against.removeprefix("snapshot:").isdecimal():
        number = int(against.removeprefix("snapshot:"))
        return p.gather(lake, lake.snapshot(number), None, files, split), against
    if Path(against).exists():
        return p.gather(lake, view, Path(against), files, split), Path(against).name
    mine = [e for e in view.entries(Answered.TABLE) if e.partition.get("name") == against]
    if mine:
        return Gathered(list(lake.read(mine, Answered)), against).only(o.split(split) or []), against
    known = sorted({e.partition["name"] for e in view.entries(Answered.TABLE)})
    raise UsageError(
        f"There is no reference {against!r}: give answers, snapshot:NUMBER, or a run of {lake.uri}: "
        f"{', '.join(known) or 'it has none'}."
    )


def _export(run: "WinRun", folder: Path) -> None:
    from toolbench.tooleval import results

    names = "_".join(name.replace("/", "_").replace(" ", "_") for name in (run.against, run.name))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for split in [s.split for s in run.splits[:-1]]:
            text = results.dump(results.preference_results(run, split))
            (folder / f"{split}_{names}.json").write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ToolbenchError(
            f"The preferences cannot be written to {folder} ({error}): name another --export."
        ) from None
