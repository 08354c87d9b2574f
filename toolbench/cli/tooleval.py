"""`toolbench tooleval`: how good answers are, by a judge and by counting."""

import typer

from toolbench.cli import (
    tooleval_agreement,
    tooleval_apibench,
    tooleval_leaderboard,
    tooleval_pass,
    tooleval_results,
    tooleval_win,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Evaluate answers: by a judge, and by counting.")
for module in (
    tooleval_pass,
    tooleval_win,
    tooleval_results,
    tooleval_agreement,
    tooleval_apibench,
    tooleval_leaderboard,
):
    module.register(app)
