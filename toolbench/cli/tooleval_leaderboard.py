"""`toolbench tooleval leaderboard`: stored evaluations side by side."""

from pathlib import Path
from typing import Annotated

import typer

from toolbench.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(leaderboard)


def leaderboard(
    runs: Annotated[list[Path], typer.Argument(help="Stored evaluations (*.json), or folders of them.")],
    out: Annotated[
        Path | None, typer.Option(help="Write leaderboard.md, .html, .json and plots to this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    different: Annotated[
        bool, typer.Option("--allow-different-judges", help="Show results of different judges together.")
    ] = False,
    paper: Annotated[bool, typer.Option("--published", help="Add the paper's figures to the page, apart.")] = False,
) -> None:
    """Show methods by splits: pass rates, win rates, effort and cost, from stored evaluations only.

    Results of different judges, prompts or numbers of votes are refused unless asked for.

    Example: toolbench tooleval leaderboard evaluations --out leaderboard
    """
    from toolbench.report.leaderboard import markdown, page
    from toolbench.tooleval.leaderboard import board, find, plots, published

    found = board(find(runs), allow_different_judges=different)
    if out:
        pictures = plots(found)
        files = {"leaderboard.md": markdown(found).encode(), "leaderboard.json": found.as_json().encode()}
        files["leaderboard.html"] = page(found, pictures, published() if paper else ()).encode()
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name, data in {**files, **{f"{stem}.svg": data for stem, data in pictures.items()}}.items():
                (out / name).write_bytes(data)
        except OSError as error:
            raise UsageError(
                f"The leaderboard cannot be written to {out} ({error.strerror}); name another folder."
            ) from error
    typer.echo(found.as_json() if as_json else markdown(found), nl=False)
