"""`toolbench student`: from a lake's conversations to an adapter, and to an endpoint that answers with it."""

import typer

from toolbench.cli import student_data
from toolbench.cli.student_bootstrap import bootstrap
from toolbench.cli.student_promote import promote
from toolbench.cli.student_serve import serve
from toolbench.cli.student_train import merge, train

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Train a student on a lake's conversations.")
student_data.register(app)
for command in (bootstrap, train, promote, merge, serve):
    app.command()(command)
