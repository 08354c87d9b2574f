"""The screening: which APIs are fit to be used, by category and verdict."""

from collections import Counter
from typing import get_args

from toolbench.lake import Lake, Snapshot
from toolbench.records import Verdict, VerdictName
from toolbench.report.scan import count, query
from toolbench.report.tabular import Table, number

VERDICTS: tuple[str, ...] = get_args(VerdictName)


def screening(lake: Lake, snapshot: Snapshot) -> Table | None:
    """APIs by category and verdict, with those that are retired; None if nothing was screened."""
    if not snapshot.rows(Verdict.TABLE):
        return None
    counts = count(lake, snapshot, Verdict, ["category", "verdict", "retired"])
    rows = [_row(category, counts, category) for category in sorted({category for category, _, _ in counts})]
    rows.append(_row("All", counts))
    columns = ", ".join(f"count(*) FILTER (verdict = '{name}') AS {name}" for name in VERDICTS)
    select = f"""
SELECT category, {columns}, count(*) AS apis, count(*) FILTER (retired) AS retired
FROM {{verdicts}}
GROUP BY ROLLUP (category) ORDER BY category NULLS LAST
"""  # noqa: S608
    nights = sorted({night for (night,) in count(lake, snapshot, Verdict, ["night"])})
    when = nights[0] if len(nights) == 1 else f"{nights[0]} to {nights[-1]}"
    return Table(
        f"APIs by category and verdict, screened in the night {when}",
        ["Category", *(name.replace("_", " ").capitalize() for name in VERDICTS), "All", "Retired"],
        rows,
        query(lake, snapshot, [Verdict.TABLE], select),
        total=True,
    )


def reasons(lake: Lake, snapshot: Snapshot) -> Table | None:
    """APIs by verdict and reason; None if all work or nothing was screened."""
    counts = count(lake, snapshot, Verdict, ["verdict", "reason"])
    rows = [
        [verdict, reason, number(n)]
        for (verdict, reason), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if reason
    ]
    select = """
SELECT verdict, reason, count(*) AS apis FROM {verdicts}
WHERE reason <> '' GROUP BY ALL ORDER BY apis DESC, verdict, reason
"""
    return (
        Table(
            "APIs that do not work or are not known to, by reason",
            ["Verdict", "Reason", "APIs"],
            rows,
            query(lake, snapshot, [Verdict.TABLE], select),
            words=frozenset({1}),
        )
        if rows
        else None
    )


def _row(heading: str, counts: Counter[tuple[str, ...]], category: str | None = None) -> list[str]:
    mine = {key: n for key, n in counts.items() if category in (None, key[0])}
    figures = [sum(n for (_, verdict, _), n in mine.items() if verdict == name) for name in VERDICTS]
    retired = sum(n for (_, _, gone), n in mine.items() if gone)
    return [heading, *map(number, figures), number(sum(mine.values())), number(retired)]
