"""`toolbench student preview` and `stats`: what a student would learn from, before it does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from toolbench.cli.lake import Number
from toolbench.cli.options import Lake as LakeOption
from toolbench.cli.options import settings
from toolbench.errors import LakeError, ToolbenchError, UsageError
from toolbench.lake import Lake
from toolbench.records import Conversation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from toolbench.student.conversations import Found
    from toolbench.student.lengths import Lengths
    from toolbench.student.samples import Made, Making

Base = Annotated[
    str, typer.Option("--base", help="The model to adapt: a folder, or a name that the local cache holds.")
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Instead of a lake: ToolBench's training data or answer files (.json), a table (.parquet), or a folder."
    ),
]
SplitOption = Annotated[
    Literal["train", "instruction", "tool", "category"], typer.Option(help="Which conversations of the lake.")
]
CallsOption = Annotated[
    Literal["auto", "native", "react"],
    typer.Option(help="How calls are written: by the base's chat template, as ReAct text, or what its template can."),
]
Limit = Annotated[int | None, typer.Option(min=16, help="Longest sample in tokens: observations are cut to fit.")]
PerTurn = Annotated[bool, typer.Option("--per-turn", help="One sample a turn, loss on its last turn alone.")]
GiveUps = Annotated[bool, typer.Option("--give-ups", help="Also paths that end with giving up.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `toolbench student`."""
    app.command()(preview)
    app.command()(stats)


def preview(
    base: Base,
    lake: LakeOption = None,
    snapshot: Number = None,
    data: Data = None,
    split: SplitOption = "train",
    calls: CallsOption = "auto",
    max_tokens: Limit = None,
    per_turn: PerTurn = False,
    give_ups: GiveUps = False,
    number: Annotated[int, typer.Option(min=1, help="Which sample, from 1.")] = 1,
    plain: Annotated[bool, typer.Option("--plain", help="No colour: what is learned stands in [[ ]].")] = False,
    as_json: AsJson = False,
) -> None:
    """Print one training sample as the base's tokenizer makes it: what is learned stands out, what is read is dim.

    Where there is no colour, what is learned stands in [[ ]].

    Example: toolbench student preview --base ./my-model --data toolllama_G123_dfs_train.json --number 3
    """
    from toolbench.student.preview import as_json as described
    from toolbench.student.preview import parts
    from toolbench.student.samples import IGNORED, Making

    making = Making(max_tokens=max_tokens, per_turn=per_turn, give_ups=give_ups)
    found = _conversations(lake, snapshot, data, split)
    tokenizer = _tokenizer(base, calls)
    made = _numbered(_samples(found, tokenizer, making), number)
    if made.sample is None or made.conversation is None:
        raise made.problem or ToolbenchError("There is no sample.")
    shown = parts(made.sample, tokenizer)
    if as_json:
        typer.echo(json.dumps(described(made.conversation.id, made.sample, shown), ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    colour = not plain and console.is_terminal and console.color_system is not None and not console.no_color
    if colour:
        console.print(Text.assemble(*((p.text, "bold green" if p.learned else "dim") for p in shown)))
    else:
        from toolbench.student.preview import plain as marked

        typer.echo(marked(shown))
    learned = sum(label != IGNORED for label in made.sample.labels)
    typer.echo(f"\nconversation {made.conversation.id}: {learned} of {len(made.sample.labels)} tokens are learned")
    for what, count in (
        ("observations were cut", made.sample.shortened),
        ("observations were dropped", made.sample.dropped),
        ("thoughts are left out by the chat template, which shows a call alone", made.sample.thoughts_left_out),
    ):
        if count:
            typer.echo(f"{count} {what}")


def stats(
    base: Base,
    lake: LakeOption = None,
    snapshot: Number = None,
    data: Data = None,
    split: SplitOption = "train",
    calls: CallsOption = "auto",
    max_tokens: Limit = None,
    per_turn: PerTurn = False,
    give_ups: GiveUps = False,
    as_json: AsJson = False,
) -> None:
    """Count the samples' tokens: all, those learned, those of observations; and what is cut, dropped and left out.

    Example: toolbench student stats --base ./my-model --max-tokens 8192
    """
    from toolbench.student.lengths import Lengths
    from toolbench.student.samples import Making

    making = Making(max_tokens=max_tokens, per_turn=per_turn, give_ups=give_ups)
    found = _conversations(lake, snapshot, data, split)
    tokenizer = _tokenizer(base, calls)
    lengths = Lengths()
    console = Console(stderr=True)
    columns = (TextColumn("samples {task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("samples", total=None)
        for made in _samples(found, tokenizer, making):
            lengths.add(made, tokenizer)
            bars.advance(task)
    if as_json:
        typer.echo(json.dumps(lengths.summary(), ensure_ascii=False))
    else:
        _print(lengths)


def _conversations(lake: str | None, snapshot: int | None, data: Path | None, split: str) -> "Iterator[Found]":
    """What is asked for, read as it is needed; what can be told at once is told at once."""
    if data is not None:
        if lake is not None or snapshot is not None:
            raise UsageError("--data reads files and --lake a lake: name one of the two.")
        from toolbench.student.conversations import read

        return read(data)
    opened = Lake(settings(lake=lake).lake)
    if not opened.numbers():
        raise LakeError(
            f"Nothing was published to {opened.uri} yet: run `toolbench refresh` first or name another --lake."
        )
    view = opened.snapshot(snapshot)
    return _of(opened, opened.rows(view, Conversation), split)


def _of(lake: Lake, rows: Iterator[Conversation], split: str) -> Iterator[Conversation]:
    found = False
    for row in rows:
        if row.split == split:
            found = True
            yield row
    if not found:
        raise ToolbenchError(f"{lake.uri} has no conversation of the split `{split}`: annotate first.")


def _tokenizer(base: str, calls: Literal["auto", "native", "react"]) -> "PreTrainedTokenizerBase":
    from toolbench.student.base import load_tokenizer
    from toolbench.student.templates import choose

    tokenizer = load_tokenizer(base, bare=True)
    choose(tokenizer, calls)
    return tokenizer


def _samples(found: "Iterator[Found]", tokenizer: "PreTrainedTokenizerBase", making: "Making") -> "Iterator[Made]":
    from toolbench.student.base import quiet
    from toolbench.student.samples import samples

    with quiet():
        yield from samples(found, tokenizer, making)


def _numbered(found: "Iterator[Made]", number: int) -> "Made":
    """The sample of this number. Raises ToolbenchError, with the first thing that was wrong if there is no sample."""
    first, count = None, 0
    for made in found:
        first = first or made.problem
        count += made.sample is not None
        if made.sample is not None and count == number:
            return made
    if not count:
        raise first or ToolbenchError("There is no conversation.")
    raise UsageError(f"There are {count} samples, so none has the number {number}: give a --number up to {count}.")


def _print(lengths: "Lengths") -> None:
    summary = lengths.summary()
    if summary["tokens"]:
        names = list(summary["tokens"]["total"])
        typer.echo("tokens        " + "".join(f"{name:>12s}" for name in names))
        for part, figures in summary["tokens"].items():
            typer.echo(f"{part:14s}" + "".join(f"{figures[name]:12,}" for name in names))
    typer.echo(f"samples {lengths.samples:,}, of these with observations cut or dropped {lengths.changed:,}")
    typer.echo(
        f"observations {lengths.observations:,}: cut {lengths.shortened:,}, dropped with a note {lengths.dropped:,}"
    )
    if lengths.thoughts_left_out:
        typer.echo(f"thoughts that the chat template leaves out: {lengths.thoughts_left_out:,} (see --calls react)")
    typer.echo(f"rejected {sum(lengths.rejected.values()):,}")
    for reason, count in sorted(lengths.rejected.items()):
        typer.echo(f"  {reason} {count:,}, the first: {lengths.examples[reason]}")
