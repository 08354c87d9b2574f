"""`toolbench tooleval win`: how often one run's answers beat another's."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
