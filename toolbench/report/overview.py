"""The figures of a snapshot: each function counts one table of the overview and gives the query that does the same."""

import json
from collections import Counter
from collections.abc import Iterator

from toolbench.lake import Lake, Snapshot
from toolbench.records import (
    RECORDS,
    ApiCall,
    Conversation,
    Instruction,
    Judgment,
    Record,
    Reject,
    RetrievalPair,
    Run,
    Solution,
)
from toolbench.report.scan import count, manifest, query
from toolbench.report.tabular import Table, dollars, number, share
from toolbench.report.words import SPLITS, status_word

_LATEST = "QUALIFY row_number() OVER (PARTITION BY stage ORDER BY started_at DESC, id DESC) = 1"
_REASONS = 3
"""Reasons of a stage that the funnel names."""
_MADE_BY_MODEL: tuple[type[Record], ...] = (Instruction, Solution, Conversation, RetrievalPair, Judgment)
_SPLIT: tuple[type[Record], ...] = (Instruction, Conversation, RetrievalPair)


def latest_runs(lake: Lake, snapshot: Snapshot) -> list[Run]:
    """The latest run of each stage, in the order they started."""
    latest: dict[str, Run] = {}
    for run in lake.rows(snapshot, Run):
        known = latest.get(run.stage)
        if known is None or (run.started_at, run.id) > (known.started_at, known.id):
            latest[run.stage] = run
    return sorted(latest.values(), key=lambda r: (r.started_at, r.stage))


def funnel(lake: Lake, snapshot: Snapshot, runs: list[Run]) -> Table:
    """In, out and rejected by stage, as the latest run of each counted them."""
    rows = [
        [r.stage, number(r.taken_in), number(r.passed_on), number(r.rejected), share(r.passed_on, r.taken_in),
         _reasons(r), f"{number(r.shards)} ({number(r.shards_reused)})", f"{r.seconds:,.1f}",
         r.started_at[:19].replace("T", " ")]
        for r in runs
    ]  # fmt: skip
    select = f"""
SELECT stage, taken_in, passed_on, rejected, reasons, shards, shards_reused, seconds, started_at
FROM {{runs}}
{_LATEST}
ORDER BY started_at, stage
"""  # noqa: S608
    return Table(
        "Latest run of each stage: what came in, what was passed on, what was rejected",
        ["Stage", "In", "Out", "Rejected", "Passed on", "Why rejected", "Shards (reused)", "Seconds", "Started (UTC)"],
        rows,
        query(lake, snapshot, ["runs"], select),
        words=frozenset({5, 8}),
    )


def _reasons(run: Run) -> str:
    """The most frequent reasons with their counts: `too_short 5, unsafe 2 and 3 more`."""
    try:
        counts = {str(reason): int(n) for reason, n in json.loads(run.reasons).items()}
    except (ValueError, TypeError, AttributeError):
        return "–"
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{reason} {number(n)}" for reason, n in ordered[:_REASONS])
    return (shown + (f" and {len(ordered) - _REASONS} more" if len(ordered) > _REASONS else "")) or "–"


def rejects(lake: Lake, snapshot: Snapshot, runs: list[Run]) -> Table:
    """Rejected records by stage and reason, over the whole snapshot."""
    counts = count(lake, snapshot, Reject, ["stage", "reason"])
    stages = Counter[str]()
    for (stage, _), n in counts.items():
        stages[stage] += n
    select = (
        "SELECT stage, reason, count(*) AS rejected FROM {rejects} GROUP BY ALL ORDER BY stage, rejected DESC, reason"
    )
    notes = [
        f"The latest run of {r.stage} rejected {number(r.rejected)}; the snapshot lists {number(stages[r.stage])}, "
        "since it also holds partitions that other runs made."
        for r in runs
        if r.rejected != stages[r.stage]
    ]
    ordered = sorted(counts.items(), key=lambda c: (c[0][0], -c[1], c[0][1]))
    return Table(
        "Rejected, by stage and reason",
        ["Stage", "Reason", "Rejected"],
        [[stage, reason, number(n)] for (stage, reason), n in ordered],
        query(lake, snapshot, ["rejects"], select),
        words=frozenset({1}),
        notes=notes,
    )


def teacher(lake: Lake, snapshot: Snapshot, runs: list[Run]) -> Table:
    """Calls, tokens and cost by stage, over the latest run of each."""
    rows = [
        [r.stage, r.model or "–", number(r.calls), number(r.input_tokens), number(r.output_tokens), dollars(r.cost)]
        for r in runs
    ]
    calls, tokens_in, tokens_out = (
        sum(getattr(r, f) for r in runs) for f in ("calls", "input_tokens", "output_tokens")
    )
    cost = sum(r.cost for r in runs)
    rows.append(["All", "", number(calls), number(tokens_in), number(tokens_out), dollars(cost)])
    select = f"""
WITH latest AS (SELECT * FROM {{runs}} {_LATEST})
SELECT stage, any_value(model) AS model, sum(calls) AS calls, sum(input_tokens) AS input_tokens,
       sum(output_tokens) AS output_tokens, sum(cost) AS cost
FROM latest
GROUP BY ROLLUP (stage) ORDER BY grouping(stage), min(started_at), stage
"""  # noqa: S608
    return Table(
        "Teacher and judge: calls, tokens and cost by stage",
        ["Stage", "Model", "Calls", "Input tokens", "Output tokens", "Cost (US dollars)"],
        rows,
        query(lake, snapshot, ["runs"], select),
        words=frozenset({1}),
        total=True,
    )


def splits(lake: Lake, snapshot: Snapshot) -> Table:
    """Rows to train on, and rows held out at each level."""
    tables = [record for record in _SPLIT if snapshot.rows(record.TABLE)]
    rows = []
    for record in tables:
        counts = count(lake, snapshot, record, ["split"])
        rows.append([record.TABLE, *(number(counts[split,]) for split in SPLITS), number(counts.total())])
    select = "\nUNION ALL BY NAME\n".join(
        f"SELECT '{r.TABLE}' AS \"table\", "
        + ", ".join(f"count(*) FILTER (split = '{s}') AS \"{s}\"" for s in SPLITS)
        + f", count(*) AS rows\nFROM {{{r.TABLE}}}"
        for r in tables
    )
    return Table(
        "Rows by split: to train on, or held out at a level",
        ["Table", *SPLITS.values(), "All"],
        rows,
        query(lake, snapshot, [r.TABLE for r in tables], select),
    )


def api_calls(lake: Lake, snapshot: Snapshot) -> Table:
    """API calls by status code and by where the answer came from."""
    counts = count(lake, snapshot, ApiCall, ["status", "source"])
    sources = sorted({source for _, source in counts})
    rows = [
        [f"{status} {status_word(status)}", *(number(counts[status, s]) for s in sources),
         number(sum(counts[status, s] for s in sources))]
        for status in sorted({status for status, _ in counts})
    ]  # fmt: skip
    total = [number(sum(n for (_, s), n in counts.items() if s == source)) for source in sources]
    rows.append(["All", *total, number(counts.total())])
    columns = ", ".join(f"count(*) FILTER (source = '{s.replace(chr(39), chr(39) * 2)}')" for s in sources)
    select = (
        f"SELECT status, {columns}, count(*)\nFROM {{api_calls}}\nGROUP BY ROLLUP (status) ORDER BY status NULLS LAST"
    )
    return Table(
        "API calls by status code and source",
        ["Status", *(s.capitalize() for s in sources), "All"],
        rows,
        query(lake, snapshot, ["api_calls"], select),
        total=True,
    )


def models(lake: Lake, snapshot: Snapshot) -> Table:
    """Which model made how many rows of which table."""
    tables = [record for record in _MADE_BY_MODEL if snapshot.rows(record.TABLE)]
    rows = [
        [record.TABLE, model, number(n)]
        for record in tables
        for (model,), n in sorted(count(lake, snapshot, record, ["model"]).items())
    ]
    select = "\nUNION ALL\n".join(
        f"SELECT '{r.TABLE}' AS \"table\", model, count(*) AS rows FROM {{{r.TABLE}}} GROUP BY ALL"  # noqa: S608
        for r in tables
    )
    return Table(
        "Which model made the rows",
        ["Table", "Model", "Rows"],
        rows,
        query(lake, snapshot, [r.TABLE for r in tables], select),
        words=frozenset({1}),
    )


def storage(lake: Lake, snapshot: Snapshot) -> Table:
    """Where every table lies: rows, files, bytes."""
    rows = []
    for name in _known_first(snapshot):
        entries = snapshot.entries(name)
        size = sum(e.bytes for e in entries)
        rows.append(
            [name, number(snapshot.rows(name)), number(len(entries)), number(size), lake.store.url(f"tables/{name}/")]
        )
    select = """
SELECT t.key AS "table", list_sum((t.value->'$[*].rows')::BIGINT[]) AS rows, json_array_length(t.value) AS files,
       list_sum((t.value->'$[*].bytes')::BIGINT[]) AS bytes
FROM json_each(getvariable('manifest')->'$.tables') AS t
"""
    return Table(
        "Where every table lies",
        ["Table", "Rows", "Files", "Bytes", "Folder"],
        rows,
        query(lake, snapshot, [], select),
        words=frozenset({4}),
        notes=[f"The folders may hold more than was published; what counts is listed in {manifest(lake, snapshot)}."],
    )


def _known_first(snapshot: Snapshot) -> Iterator[str]:
    """Tables in the order data passes through them, then any this toolbench does not know."""
    yield from (name for name in RECORDS if snapshot.entries(name))
    yield from sorted(name for name in snapshot.tables if name not in RECORDS and snapshot.entries(name))
