"""`toolbench export answers`: solutions as ToolBench's answer files, and as ToolEval reads them."""

from pathlib import Path
from typing import Annotated

import typer

from toolbench.cli import options as o
from toolbench.cli.lake import Number, published
from toolbench.lake import Lake


def answers(
    out: Annotated[Path, typer.Option(help="The folder to write to; made if it is not there.")],
    lake: o.Lake = None,
    snapshot: Number = None,
) -> None:
    """Write the solutions as ToolBench's answer files, one a question, and as ToolEval's converted answers.

    Example: toolbench export answers --out answers
    """
    from toolbench.instructions.export import query_ids
    from toolbench.records import Instruction
    from toolbench.solutions.answer_export import export

    opened = Lake(o.settings(lake=lake).lake)
    found = published(opened, snapshot)
    # The numbers that the same instructions have as exported queries.
    numbers = query_ids(row.id for row in opened.rows(found, Instruction))
    done = export(opened, found, out, numbers)
    for name, count in done.written.items():
        typer.echo(f"{name:22s} {count:9,}")
    if done.left_out:
        typer.echo(
            f"{done.left_out:,} were left out: their instruction or its APIs are gone, or their tree is too deep"
        )
    typer.echo(f"snapshot {found.number}, {sum(done.written.values()):,} answers in {out}")
