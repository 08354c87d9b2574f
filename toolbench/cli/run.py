"""`toolbench refresh`, `annotate`, `add-category`: run the factory here and now, on Prefect's own ephemeral server."""

from pathlib import Path
from typing import Annotated, Any

import typer

from toolbench.cli import options as o
from toolbench.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(refresh)
    app.command()(annotate)
    app.command()(add_category)


def refresh(
    lake: o.Lake = None,
    catalogue: o.Catalogue = None,
    responses: o.Responses = None,
    categories: o.Categories = None,
    groups: o.Groups = None,
    instructions: Annotated[int | None, typer.Option(min=1, help="Instructions aimed at.")] = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
    seed: o.Seed = None,
    max_cost: o.MaxCost = None,
    max_calls: o.MaxCalls = None,
    max_hours: o.MaxHours = None,
    report: o.Report = None,
) -> None:
    """From a catalogue of APIs to a published dataset and a trained retriever: the flow nightly-refresh.

    Without any flag: the demo hub's APIs and the offline teacher, no key and no network. What did not change since the
    last time is neither asked nor computed again. When a budget is used up, what was done is published, and the same
    command goes on with the rest.

    Example: toolbench refresh --catalogue toolenv.tar.gz --categories Weather,Finance --instructions 60
    """
    flags = _flags(lake, catalogue, responses, categories, groups, model, base_url, seed)
    flags |= _budget(max_cost, max_calls, max_hours)
    flags["instructions__total"] = instructions
    settings = o.settings(**flags)  # a wrong flag is said before anything starts
    from toolbench.cli.watch import run_flow

    run_flow("refresh", o.given(flags), settings, report)


def annotate(
    instructions: Annotated[
        str | None, typer.Option(help="A file of instructions in ToolBench's layout. Without it: those of the lake.")
    ] = None,
    lake: o.Lake = None,
    catalogue: o.Catalogue = None,
    responses: o.Responses = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many instructions of the file.")] = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
    seed: o.Seed = None,
    max_cost: o.MaxCost = None,
    max_calls: o.MaxCalls = None,
    max_hours: o.MaxHours = None,
    report: o.Report = None,
    replay: Annotated[
        bool,
        typer.Option(
            "--replay", help="Make the lake's solutions again from their journals, asking nobody, and compare."
        ),
    ] = False,
) -> None:
    """Search solution paths: for the lake's instructions, or for those of a file with its own API documents.

    Example: toolbench annotate --instructions G1_query.json --responses tool_response_cache.tar.gz --limit 20
    """
    flags = _flags(lake, catalogue, responses, None, None, model, base_url, seed)
    flags |= _budget(max_cost, max_calls, max_hours)
    settings = o.settings(**flags)
    if replay:
        if o.given(flags).keys() - {"lake"} or instructions or limit or report:
            raise UsageError("With --replay only --lake can be given: all else comes from each shard's specification.")
        from toolbench.cli.replay import replay as again

        again(settings.lake)
        return
    if instructions is not None and not Path(instructions).is_file():
        raise UsageError(f"The instructions {instructions} are no file: give one in ToolBench's layout.")
    from toolbench.cli.watch import run_flow

    run_flow("annotate", o.given(flags), settings, report, instructions=instructions, limit=limit)


def add_category(
    category: Annotated[str, typer.Argument(help="The category's name.")],
    source: Annotated[str, typer.Argument(help="Where its APIs are: a toolenv, OpenAPI documents, a URL.")],
    lake: o.Lake = None,
    responses: o.Responses = None,
    instructions: Annotated[int | None, typer.Option(min=1, help="Instructions aimed at.")] = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
    seed: o.Seed = None,
    max_cost: o.MaxCost = None,
    max_calls: o.MaxCalls = None,
    max_hours: o.MaxHours = None,
    report: o.Report = None,
) -> None:
    """The whole way for one category alone; the rest of the lake is left as it is.

    Example: toolbench add-category Weather ./my-openapi-documents
    """
    flags = _flags(lake, source, responses, category, None, model, base_url, seed)
    flags |= _budget(max_cost, max_calls, max_hours)
    flags["instructions__total"] = instructions
    settings = o.settings(**flags)
    from toolbench.cli.watch import run_flow

    run_flow("add-category", o.given(flags), settings, report, category=category, source=source)


def _flags(
    lake: str | None,
    catalogue: str | None,
    responses: str | None,
    categories: str | None,
    groups: str | None,
    model: str | None,
    base_url: str | None,
    seed: int | None,
) -> dict[str, Any]:
    return {
        "lake": lake,
        "catalogue__source": catalogue,
        "catalogue__responses": responses,
        "catalogue__categories": o.split(categories),
        "instructions__groups": o.split(groups),
        "teacher__model": model,
        "teacher__base_url": base_url,
        "seed": seed,
    }


def _budget(max_cost: float | None, max_calls: int | None, max_hours: float | None) -> dict[str, Any]:
    return {"budget__max_cost": max_cost, "budget__max_calls": max_calls, "budget__max_hours": max_hours}
