"""What a command says when Ctrl-C ends it: once, whoever notices first."""

import typer

_said = False


def say_stopped(more: str = "") -> None:
    """One line on standard error; `more` goes on in the sentence."""
    global _said
    if not _said:
        typer.echo(f"\ntoolbench: stopped{more}.", err=True)
    _said = True
