"""`toolbench tooleval`: how good answers are, by a judge and by counting."""

import typer

from toolbench.cli import tooleval_pass, tooleval_win

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Evaluate answers: by a judge, and by counting.")
for module in (tooleval_pass, tooleval_win):
    module.register(app)
