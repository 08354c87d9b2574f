"""Flags that several commands share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from toolbench.settings import Settings, load

Lake = Annotated[
    str | None, typer.Option("--lake", help="Where the tables are: a local path, s3://bucket/prefix or memory://name.")
]
Catalogue = Annotated[
    str | None,
    typer.Option(help="A toolenv folder or tarball, OpenAPI documents, or an index URL. Without it: the demo hub."),
]
Responses = Annotated[
    str | None, typer.Option(help="Recorded responses (StableToolBench's layout): folder or tarball.")
]
Categories = Annotated[str | None, typer.Option(help="Only these categories, separated by commas.")]
Groups = Annotated[str | None, typer.Option(help="Groups of instructions, separated by commas: I1,I2,I3.")]
Model = Annotated[str | None, typer.Option(help="The teacher's model. Without it: the offline teacher.")]
BaseUrl = Annotated[str | None, typer.Option(help="The teacher's endpoint; also OPENAI_BASE_URL.")]
MaxCost = Annotated[float | None, typer.Option(min=0, help="US dollars the run may cost, by teacher.prices.")]
MaxCalls = Annotated[int | None, typer.Option(min=0, help="Replies of teacher and judge the run may ask for.")]
MaxHours = Annotated[
    float | None, typer.Option(min=0, help="Hours after which the run ends well, and the next one goes on.")
]
Seed = Annotated[int | None, typer.Option(help="Decides every draw.")]
Report = Annotated[Path | None, typer.Option(help="Folder of the HTML report; without it, `report` in the lake's.")]


def split(text: str | None) -> list[str] | None:
    """Words separated by commas; None stays None."""
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def settings(**flags: Any) -> Settings:
    """Effective settings; the flags' names have `__` where settings have dots."""
    return load({name.replace("__", "."): value for name, value in flags.items()}).settings


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Flags that were given, under their settings' dotted names: what a flow is told of them."""
    return {name.replace("__", "."): value for name, value in flags.items() if value is not None}


def first_fault(error: ValidationError) -> str:
    """The first thing that a configuration's fields or their combination were refused for, with the field's name."""
    first = error.errors()[0]
    where, said = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
