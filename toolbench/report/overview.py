"""The figures of a snapshot: each function counts one table of the overview and gives the query that does the same."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

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
from toolbench.report.charts import Bars, Share, bars
from toolbench.report.scan import count, manifest, query
from toolbench.report.solution_data import topic
from toolbench.report.tabular import Table, dollars, interval, number, share
from toolbench.report.words import SPLITS, status_word
from toolbench.statistics import wilson

POINTS = {"solved": 1.0, "unsure": 0.5, "unsolved": 0.0}
"""What a judge's verdict counts in the judged pass rate (ToolEval)."""

_TOPIC = "CASE WHEN category <> '' THEN category WHEN collection <> '' THEN 'Collection ' || collection ELSE 'None' END"
_LATEST = "QUALIFY row_number() OVER (PARTITION BY stage ORDER BY started_at DESC, id DESC) = 1"
_REASONS = 3
"""Reasons of a stage that the funnel names."""
_BARS = 12
"""Categories that are drawn."""
TOPICS = 60
"""Categories and collections that are listed, those with the most solutions first."""
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


class PassRates:
    """Solutions by group and topic with their outcome, and the judges' points for them."""

    def __init__(self, lake: Lake, snapshot: Snapshot) -> None:
        self._lake, self._snapshot = lake, snapshot
        self._solutions = count(lake, snapshot, Solution, ["group", "category", "collection", "outcome"])
        # Several votes on one solution are one observation, so that the interval does not shrink with the votes.
        points: dict[tuple[str, ...], list[float]] = defaultdict(list)
        votes = count(lake, snapshot, Judgment, ["group", "category", "collection", "solution_id", "verdict"])
        for (*key, verdict), n in votes.items():
            points[tuple(key)] += [POINTS[verdict]] * n
        self._judged: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for (group, category, collection, _), values in points.items():
            self._judged[group, category, collection].append(sum(values) / len(values))

    @property
    def overall(self) -> tuple[int, int]:
        """Solved, and all."""
        solved = sum(n for (*_, outcome), n in self._solutions.items() if outcome == "solved")
        return solved, self._solutions.total()

    def by_group(self) -> Table:
        """Pass rate of I1, I2 and I3, and of all."""
        return self._table("Pass rate by group", "Group", {k: k[0] for k in self._keys()}, '"group"')

    def by_topic(self) -> Table:
        """Pass rate by category, and for I3 by collection."""
        labels = {k: topic(k[1], k[2]) or "None" for k in self._keys()}
        return self._table("Pass rate by category or collection", "Category", labels, _TOPIC)

    def charts(self) -> list[Bars]:
        """Searches that ended with an answer and, where judged, what judges made of them, by group and by topic."""
        found = []
        for id_, title, place in (("groups", "Pass rate by group", 0), ("topics", "Pass rate by category", 1)):
            sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
            for (group, category, collection, outcome), n in self._solutions.items():
                name = (group, topic(category, collection) or "None")[place]
                sums[name]["answered"][0] += n * (outcome == "solved")
                sums[name]["answered"][1] += n
            for (group, category, collection), points in self._judged.items():
                name = (group, topic(category, collection) or "None")[place]
                sums[name]["judged"][0] += math.fsum(sorted(points))
                sums[name]["judged"][1] += len(points)
            most = sorted(sums, key=lambda name: (-sums[name]["answered"][1], name))[:_BARS]
            groups = {
                name: {kind: _share(part, whole) for kind, (part, whole) in sums[name].items() if whole}
                for name in sorted(most)
            }
            found.append(bars(id_, title, groups))
        return [chart for chart in found if chart]

    def _keys(self) -> set[tuple[str, ...]]:
        return {key[:3] for key in self._solutions} | set(self._judged)

    def _table(self, caption: str, heading: str, labels: Mapping[tuple[str, ...], str], expression: str) -> Table:
        keys: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for key, label in labels.items():
            keys[label].add(key)
        sizes = Counter[str]()
        for key, n in self._solutions.items():
            sizes[labels[key[:3]]] += n
        most = sorted(keys, key=lambda name: (-sizes[name], name))[:TOPICS]
        rows = [self._row(name, keys[name]) for name in sorted(most)]
        left = len(keys) - len(most)
        rows.append(self._row("All", set(labels)))
        columns = [heading, "Solutions", "Solved", "Pass rate", "95% interval"]
        if self._judged:
            columns += ["Judged", "Judged pass rate", "95% interval"]
        notes = [f"{number(left)} more, with fewer solutions each, are not listed; “All” counts them."] if left else []
        return Table(caption, columns, rows, self._query(expression), total=True, notes=notes)

    def _row(self, name: str, keys: set[tuple[str, ...]]) -> list[str]:
        n = sum(v for k, v in self._solutions.items() if k[:3] in keys)
        solved = sum(v for k, v in self._solutions.items() if k[3] == "solved" and k[:3] in keys)
        row = [name, number(n), number(solved), share(solved, n), interval(solved, n)]
        if self._judged:
            points = [p for key in sorted(keys) for p in sorted(self._judged.get(key, []))]
            row += [
                number(len(points)),
                share(math.fsum(points), len(points)),
                interval(math.fsum(points), len(points)),
            ]
        return row

    def _query(self, expression: str) -> str:
        if not self._judged:
            select = f"""
SELECT {expression} AS topic, count(*) AS solutions, count(*) FILTER (outcome = 'solved') AS solved
FROM {{solutions}}
GROUP BY ROLLUP (topic) ORDER BY topic
"""  # noqa: S608
            return query(self._lake, self._snapshot, ["solutions"], select)
        select = f"""
WITH judged AS (
  SELECT solution_id, avg(CASE verdict WHEN 'solved' THEN 1 WHEN 'unsure' THEN 0.5 ELSE 0 END) AS points
  FROM {{judgments}} GROUP BY solution_id
)
SELECT {expression} AS topic, count(*) AS solutions, count(*) FILTER (outcome = 'solved') AS solved,
       count(points) AS judged, avg(points) AS judged_pass_rate
FROM {{solutions}} AS s LEFT JOIN judged ON judged.solution_id = s.id
GROUP BY ROLLUP (topic) ORDER BY topic
"""  # noqa: S608
        return query(self._lake, self._snapshot, ["solutions", "judgments"], select)


def _share(part: float, whole: float) -> Share:
    found = wilson(part, int(whole))
    return Share(part / whole, *(found or (None, None)))


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
