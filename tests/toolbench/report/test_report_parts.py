"""The report's parts: intervals, trees, samples, tolerant figures."""

from pathlib import Path

import pytest
import report_lake as small

from toolbench.lake import Lake, ModelEntry, Snapshot
from toolbench.records import Instruction, Solution
from toolbench.report import samples
from toolbench.report.catalogue import TOOLS_OF_BIG, catalogue
from toolbench.report.retrieval import retriever
from toolbench.report.samples import backtracked, sample_instructions, sample_solutions
from toolbench.report.trees import Branch, End, StepView, events
from toolbench.schemas import to_table


def shape(found: list[object]) -> list[object]:
    return [
        e.step.id if isinstance(e, StepView) else "(" if isinstance(e, Branch) else ")" for e in found
    ]  # fmt: skip


def test_a_chain_is_flat_and_a_fork_opens_a_level() -> None:
    found = events(small.solution(0, small.FORKED, [1, 3, 4]))
    assert shape(list(found)) == [1, "(", 2, ")", "(", 3, 4, ")"]
    assert [e.chosen for e in found if not isinstance(e, End)] == [True, False, False, True, True, True]
    left = next(e for e in found if isinstance(e, StepView) and e.step.id == 2)
    assert (left.status, left.tone, left.step.pruned) == ("4 gave up", "bad", True)


def test_a_fork_at_the_root_and_inside_a_branch() -> None:
    steps = [small.step(0, -1), *(small.call(n, p) for n, p in [(1, 0), (2, 1), (3, 1), (4, 0)])]
    assert shape(list(events(small.solution(0, steps, [])))) == ["(", 1, "(", 2, ")", "(", 3, ")", ")", "(", 4, ")"]


def test_a_very_deep_tree_needs_no_recursion() -> None:
    steps = [small.step(0, -1)]
    for level in range(3000):
        steps += [small.step(2 * level + 1, 2 * level), small.step(2 * level + 2, 2 * level)]
    assert sum(isinstance(e, StepView) for e in events(small.solution(0, steps, []))) == 6000


def test_backtracked_is_a_fork() -> None:
    solutions = [
        small.solution(0, small.STRAIGHT, [1, 2]), small.solution(1, [], []), small.solution(2, small.FORKED, []),
    ]  # fmt: skip
    table = to_table(Solution, solutions)
    assert backtracked(table) == [False, False, True]
    assert backtracked(table.slice(1)) == [False, True]


def test_solutions_that_backtracked_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SOLUTIONS", 4)
    lake = Lake(str(tmp_path))
    made = [
        small.solution(n, small.FORKED if n in (3, 8) else small.STRAIGHT, [1, 2]) for n in range(12)
    ]  # fmt: skip
    snapshot = small.publish(lake, {Solution: made})
    found = sample_solutions(lake, snapshot, ["i5"])
    assert len(found) == 4
    assert {s.id for s, back in found[:2]} == {"s3", "s8"}
    assert [back for _, back in found] == [True, True, False, False]
    assert found[2][0].id == "s5"


def test_instructions_are_drawn_by_group(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    snapshot = small.publish(lake, {Instruction: [small.instruction(n) for n in range(50)]})
    drawn = sample_instructions(lake, snapshot)
    assert {group: len(items) for group, items in drawn.items()} == {"I1": 12, "I2": 12, "I3": 12}
    assert all(i.group == group for group, items in drawn.items() for i in items)
    assert [i.id for i in drawn["I1"]] != [f"i{3 * n}" for n in range(12)], "these are the first ones, not a draw"


@pytest.mark.parametrize(
    ("metrics", "first"),
    [
        ({"before": {"ndcg@1": 0.5}, "after": {"ndcg@1": 0.7}}, ["all", "Before", "0.500"]),
        ({"metrics_before": {"I1": {"n": 3}}, "losses": {"a": 1}}, ["I1", "Before", "3"]),
        ({"base": {"I1": {"recall@5": 0.25}}, "note": "text"}, ["I1", "base", "0.250"]),
    ],
)
def test_any_mapping_of_figures_is_a_table(metrics: dict[str, object], first: list[str]) -> None:
    entry = ModelEntry(path="m", files={}, metrics=metrics, spec="x")
    table, _ = retriever(Lake("memory://figures"), Snapshot(number=1, models={"retriever": entry}))
    assert table is not None
    assert table.rows[0] == first


@pytest.mark.parametrize("metrics", [{}, {"before": {}, "after": {}}, {"loss": float("nan")}, {"before": None}])
def test_no_figures_no_table(metrics: dict[str, object]) -> None:
    entry = ModelEntry(path="m", files={}, metrics=metrics, spec="x")
    assert retriever(Lake("memory://figures"), Snapshot(number=1, models={"retriever": entry})) == (None, None)


def test_a_big_catalogue_lists_counts_and_first_tools(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    tools = [small.tool(f"t{n:03}") for n in range(60)]
    apis = [small.api(f"a{n}", f"t{n % 60:03}") for n in range(2001)]
    found = catalogue(lake, small.publish(lake, {small.Tool: list(tools), small.Api: list(apis)}))
    assert found is not None
    assert found.big
    (section,) = found.sections
    assert (len(section.tools), section.left_out) == (TOOLS_OF_BIG, 10)
    assert section.tools[0].count == 34
    assert not any(t.apis for t in section.tools)
    assert list(found.table.rows[-1]) == ["All", "60", "2,001", "0"]
