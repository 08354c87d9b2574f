"""The hub's small reference tables, `data/*.json`: populations rounded, VAT and exchange rates of one day."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

RATES_DATE = "2024-12-31"
"""The day of the euro reference rates in `currencies.json` and of the VAT rates in `countries.json`."""

Row = dict[str, Any]


@cache
def table(name: str) -> tuple[Row, ...]:
    """The rows of `data/<name>.json`; do not change them."""
    return tuple(json.loads(files("toolbench.demo").joinpath("data", f"{name}.json").read_text(encoding="utf-8")))


def find(name: str, column: str, value: str) -> Row | None:
    """The first row whose `column` equals `value`, case aside, or None."""
    wanted = value.strip().casefold()
    return next((row for row in table(name) if str(row[column]).casefold() == wanted), None)
