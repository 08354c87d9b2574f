"""One night as a page of Markdown: its figures, how they differ from the last night's, and plots of them.

It is made of what the lake has anyway (manifests, `runs`, receipts): no table is read row by row.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from toolbench.lake import Lake, Receipt, Snapshot
from toolbench.plots import Point, bars
from toolbench.records import Run
from toolbench.report.stages import NONE, passed
from toolbench.report.tabular import dollars, interval, number, share
from toolbench.statistics import wilson

_GROUPS = ("I1", "I2", "I3")


@dataclass(frozen=True, slots=True)
class Before:
    """The last run of the same flow that published something."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    """Number 0: there was none."""
    runs: Sequence[Run] = ()


def last_night(lake: Lake, flow: str, before: int) -> Before:
    """The newest snapshot that `flow` published with a number below `before`, and the rows of `runs` it brought.

    A manifest that was cleared away ends the search.
    """
    for number_ in (n for n in reversed(lake.numbers()) if n < before):
        found = lake.snapshot(number_)
        if found.flow == flow:
            return Before(found, _brought(lake, found))
    return Before()


def _brought(lake: Lake, view: Snapshot) -> list[Run]:
    """The rows of `runs` that came with a snapshot: those of the one file that the one before it lacks."""
    earlier = [n for n in lake.numbers() if n < view.number][-1:]
    paths = {entry.path for n in earlier for entry in lake.snapshot(n).entries(Run.TABLE)}
    runs = list(lake.read([e for e in view.entries(Run.TABLE) if e.path not in paths], Run))
    # Where snapshots between the two were cleared away there are several files: the newest is meant.
    newest = max(runs, key=lambda run: run.started_at, default=None)
    return [run for run in runs if newest and run.spec == newest.spec]


def markdown(lake: Lake, flow: str, after: Snapshot, runs: Sequence[Run]) -> str:
    """The page of a night that ended with the snapshot `after`, by its rows of `runs` in the order of the stages.

    A night that published nothing is compared with the last one all the same. Raises LakeError.
    """
    stored = {(run.stage, run.started_at) for run in _brought(lake, after)} if after.flow == flow else set()
    published = any((run.stage, run.started_at) in stored for run in runs)
    before = last_night(lake, flow, after.number if published else after.number + 1)
    receipts = _Receipts(lake)
    then, now = receipts.of(before.snapshot), receipts.of(after)
    parts = [
        f"## {_headline(flow, after, published)}",
        _compared(before),
        *(_cut(runs)),
        _figures(runs, before.runs, now, then),
        "### Rows",
        _rows(after, before.snapshot),
        "### Stages",
        _stages(runs),
        *_plots(runs, before.runs, now, then),
        "### More",
        _links(lake, after),
    ]
    return "\n\n".join(parts) + "\n"


class _Receipts:
    """Receipts of the shards of solutions and judgments in snapshots, each read once."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._known: dict[str, Receipt | None] = {}

    def of(self, view: Snapshot) -> Mapping[str, list[Receipt]]:
        """By table."""
        return {table: list(self._read({e.spec for e in view.entries(table)})) for table in ("solutions", "judgments")}

    def _read(self, specs: Iterable[str]) -> Iterable[Receipt]:
        for spec in sorted(specs):
            if spec not in self._known:
                self._known[spec] = self._lake.receipt(spec)
            if found := self._known[spec]:
                yield found


def _headline(flow: str, after: Snapshot, published: bool) -> str:
    if not after.number:
        return f"{flow}: nothing was published"
    if not published:
        return f"{flow}: nothing changed since snapshot {after.number} of {_when(after)}"
    return f"{flow}: snapshot {after.number}"


def _compared(before: Before) -> str:
    if not before.snapshot.number:
        return "It is the first night: there is none to compare it with."
    return f"Last night is snapshot {before.snapshot.number} of {_when(before.snapshot)}."


def _when(snapshot: Snapshot) -> str:
    return f"{snapshot.created_at[:16].replace('T', ' ')} UTC"


def _cut(runs: Sequence[Run]) -> list[str]:
    cut = [run for run in runs if run.left]
    if not cut:
        return []
    left = ", ".join(f"{run.stage} {number(run.left)} of {number(run.left + run.shards)}" for run in cut)
    return [f"> **The budget was used up.** {cut[0].stopped} What was done is published. Shards left: {left}."]


def _figures(
    runs: Sequence[Run], before: Sequence[Run], now: Mapping[str, list[Receipt]], then: Mapping[str, list[Receipt]]
) -> str:
    """What was paid and what passed, tonight and last night."""

    def total(rows: Sequence[Run], name: str) -> float:
        return sum(float(getattr(run, name)) for run in rows)

    rows = []
    for label, name, form in (
        ("Calls paid for", "paid_calls", _whole),
        ("Tokens paid for", "paid_tokens", _whole),
        ("Cost", "paid_cost", dollars),
        ("Seconds", "seconds", _whole),
        ("Rejected", "rejected", _whole),
        ("Shards left", "left", _whole),
    ):
        ours, theirs = total(runs, name), total(before, name)
        compared = [form(theirs), _signed(ours - theirs, form)] if before else [NONE, NONE]
        rows.append([label, form(ours), *compared])
    for label, table in (("Solved", "solutions"), ("Judged good", "judgments")):
        (good, of), (was, of_then) = (passed(table, by[table], _votes(by, table)) for by in (now, then))
        change = NONE
        if of and of_then:
            change = _signed(100 * (good / of - was / of_then), "{:.1f} points".format)
        rows.append([label, _rate(good, of), _rate(was, of_then), change])
    return _table(["", "Tonight", "Last night", "Difference"], rows)


def _votes(receipts: Mapping[str, list[Receipt]], table: str) -> int:
    """Votes on one answer: they are one observation."""
    answers = sum(r.passed_on for r in receipts["solutions"])
    return max(1, round(sum(r.taken_in for r in receipts[table]) / max(1, answers))) if table == "judgments" else 1


def _rows(after: Snapshot, before: Snapshot) -> str:
    names = sorted({*after.tables, *before.tables} - {Run.TABLE})
    counts = [(name, after.rows(name), before.rows(name)) for name in names]
    rows = [[name, number(now), number(then), _signed(now - then, _whole)] for name, now, then in counts]
    return _table(["Table", "Tonight", "Last night", "Difference"], rows)


def _stages(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        reasons = ", ".join(f"{reason} {number(n)}" for reason, n in json.loads(run.reasons).items())
        shards = [number(run.shards), f"{number(run.shards_reused)} before" * bool(run.shards_reused)]
        shards.append(f"{number(run.left)} left" * bool(run.left))
        paid = [number(run.paid_calls), number(run.paid_tokens), dollars(run.paid_cost)]
        counts = [number(run.taken_in), number(run.passed_on), *paid, f"{run.seconds:,.1f}"]
        rows.append([run.stage, *counts, ", ".join(filter(None, shards)), reasons or "0"])
    heads = ["Stage", "In", "Out", "Calls", "Tokens", "Cost", "Seconds", "Shards", "Rejected"]
    return f"{_table(heads, rows)}\n\nCalls, tokens and cost are what this night paid for."


def _plots(
    runs: Sequence[Run], before: Sequence[Run], now: Mapping[str, list[Receipt]], then: Mapping[str, list[Receipt]]
) -> list[str]:
    found = []
    nights = {"last night": then, "tonight": now}
    solved = {name: {group: _point(by["solutions"], group) for group in _GROUPS} for name, by in nights.items()}
    if groups := [group for group in _GROUPS if any(points[group] for points in solved.values())]:
        shown = {name: [points[group] for group in groups] for name, points in solved.items() if any(points.values())}
        title = "Solved, by group, with 95% intervals"
        found.append(_image(title, bars(groups, shown, title=title, y="", form="png", percent=True)))
    stages = [run.stage for run in runs]
    if stages:
        spent: dict[str, list[Point | None]] = {}
        for name, rows in (("last night", before), ("tonight", runs)):
            seconds = {run.stage: run.seconds for run in rows}
            if rows:
                spent[name] = [Point(0, seconds[stage]) if stage in seconds else None for stage in stages]
        title = "Seconds, by stage"
        found.append(_image(title, bars(stages, spent, title=title, y="", form="png")))
    return ["### Plots", *found] if found else []


def _point(receipts: Sequence[Receipt], group: str) -> Point | None:
    good, of = passed("solutions", [r for r in receipts if r.partition.get("group") == group])
    ends = wilson(good, of)
    return Point(0, good / of, *ends) if ends else None


def _links(lake: Lake, after: Snapshot) -> str:
    """Addresses a browser can follow are links; a path or a bucket is said as it is."""
    if not after.number:
        return f"The lake: `{lake.uri}`"
    address = lake.store.url(f"reports/{after.number}/index.html")
    manifest = lake.store.url(f"manifests/{after.number:012d}.json")
    return f"- The report: `{address}`, once `publish-report` has written it\n- The manifest: `{manifest}`"


def _image(title: str, png: bytes) -> str:
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _rate(good: float, of: int) -> str:
    return f"{share(good, of)} of {number(of)} ({interval(good, of)})" if of else NONE


def _whole(value: float) -> str:
    return number(round(value))


def _signed(value: float, form: Callable[[float], str]) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{form(abs(value))}"
