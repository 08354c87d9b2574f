"""The report's parts: intervals, trees, samples, tolerant figures."""

from itertools import pairwise
from pathlib import Path

import pytest
import report_lake as small
from hypothesis import given
from hypothesis import strategies as st

from toolbench.lake import Lake, ModelEntry, Snapshot
from toolbench.records import Instruction
from toolbench.report.charts import Share, bars
from toolbench.report.retrieval import retriever
from toolbench.report.samples import sample_instructions
from toolbench.report.trees import Branch, End, StepView, events, tried_again
from toolbench.retriever import NEWEST


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


def test_going_back_is_counted_by_forks() -> None:
    assert [tried_again(steps) for steps in (small.STRAIGHT, [], [small.step(0, -1)], small.FORKED)] == [0, 0, 0, 1]
    three = [small.step(0, -1), *(small.call(n, 0) for n in (1, 2, 3))]
    assert tried_again(three) == 2


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
    found = retriever(Lake("memory://figures"), Snapshot(number=1, models={"retriever": entry}))
    assert found.trained is not None
    assert found.trained.rows[0] == first


@pytest.mark.parametrize("metrics", [{}, {"before": {}, "after": {}}, {"loss": float("nan")}, {"before": None}])
def test_no_figures_no_table(metrics: dict[str, object]) -> None:
    entry = ModelEntry(path="m", files={}, metrics={**metrics, "measured": metrics, "decision": [1]}, spec="x")
    found = retriever(Lake("memory://figures"), Snapshot(number=1, models={"retriever": entry, NEWEST: entry}))
    assert (found.trained, found.training, found.measured, found.compared) == (None, None, None, None)
    assert (found.decision, found.headline) == ("", "")


def test_models_that_were_measured_stand_side_by_side_all_queries_first() -> None:
    names = ("bm25", "zero-shot", "trained", "hybrid", "previous")
    measured = {
        name: {"group": {"I1": summary(n / 10)}, "split": {}, "all": summary(n / 10 + 0.05)}
        for n, name in enumerate(names, 3)
    }
    metrics = {"measured": measured, "decision": {"sentence": "It serves."}}
    entry = ModelEntry(path="m", files={}, metrics=metrics, spec="x")
    found = retriever(Lake("memory://figures"), Snapshot(number=1, models={NEWEST: entry}))
    assert found.measured is not None
    assert [row[:2] for row in found.measured.rows] == [[s, n] for s in ("all", "group I1") for n in names]
    assert found.measured.rows[0][2:] == ["4", "0.350 (0.300 to 0.400)"]
    assert found.compared is not None
    assert [name for name, _ in found.compared.heads] == ["all", "group I1"]
    assert [(b.name, b.series, b.value) for b in found.compared.bars[:2]] == [
        ("bm25", 0, "35.0%"),
        ("zero-shot", 1, "45.0%"),
    ]
    assert (found.decision, found.headline) == ("It serves.", "55.0%")


def summary(mean: float) -> dict[str, object]:
    return {"queries": 4, "ndcg@5": {"mean": mean, "se": 0.1, "low": mean - 0.05, "high": mean + 0.05}}


@given(
    st.dictionaries(
        st.text(max_size=80),
        st.dictionaries(st.text(max_size=80), st.floats(0, 1), max_size=9),
        max_size=9,
    )
)
def test_bars_stay_in_their_drawing(groups: dict[str, dict[str, float]]) -> None:
    shares = {name: {n: Share(v, max(0, v - 0.1), min(1, v + 0.1)) for n, v in g.items()} for name, g in groups.items()}
    drawn = bars("x", "Title", shares)
    assert (drawn is None) is (not any(groups.values()))
    if drawn:
        assert len(drawn.bars) == sum(map(len, groups.values()))
        rows = sorted(b.y for b in drawn.bars)
        assert all(b - a >= 13 for a, b in pairwise(rows))
        for bar in drawn.bars:
            assert bar.low is not None
            assert bar.high is not None
            assert 104 <= bar.low <= 104 + bar.width + 0.1
            assert 104 + bar.width <= bar.high + 0.1 <= 341
            assert bar.y + 13 <= drawn.height
            assert 0 <= bar.series < 6
