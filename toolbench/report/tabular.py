"""What a page shows as a table, and how figures are written."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from toolbench.statistics import wilson


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the query that counts it; cells are text, the first of each row is its heading."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    sql: str
    """A DuckDB script whose result has this table's figures."""
    words: frozenset[int] = field(default_factory=frozenset)
    """Columns besides the first that hold words, not figures."""
    total: bool = False
    """True if the last row sums up the others."""
    notes: Sequence[str] = ()


def number(value: int) -> str:
    """A count with thousands separated: `12,345`."""
    return f"{value:,}"


def share(part: float, whole: int) -> str:
    """A percentage: `71.4%`; a dash without a whole."""
    return f"{100 * part / whole:.1f}%" if whole else "–"


def interval(successes: float, n: int) -> str:
    """A Wilson interval in percent: `52.1 to 84.3%`; a dash without observations."""
    found = wilson(successes, n)
    return f"{100 * found[0]:.1f} to {100 * found[1]:.1f}%" if found else "–"


def dollars(value: float) -> str:
    """US dollars, with four decimals below one: `$0.0132`, `$12.50`."""
    return f"${value:,.2f}" if value >= 1 else f"${value:.4f}"
