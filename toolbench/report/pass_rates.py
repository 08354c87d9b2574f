"""Pass rates by group and by category: searches that ended with an answer, and what judges made of the answers."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping

from toolbench.lake import Lake, Snapshot
from toolbench.records import Judgment, Solution
from toolbench.report.charts import Bars, Share, bars
from toolbench.report.scan import count, query
from toolbench.report.solution_data import topic
from toolbench.report.tabular import Table, interval, number, share
from toolbench.statistics import wilson

POINTS = {"solved": 1.0, "unsure": 0.5, "unsolved": 0.0}
"""What a judge's verdict counts in the judged pass rate (ToolEval)."""

_TOPIC = "CASE WHEN category <> '' THEN category WHEN collection <> '' THEN 'Collection ' || collection ELSE 'None' END"
_BARS = 12
"""Categories that are drawn."""
TOPICS = 60
"""Categories and collections that are listed, those with the most solutions first."""


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
