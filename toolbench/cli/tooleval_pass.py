"""`toolbench tooleval pass`: which share of a test set is solved."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
