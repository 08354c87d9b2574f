"""Judges against people: counted by hand, checked against well-kept libraries, read from hostile files."""

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import krippendorff
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score
from workshop import publish

from toolbench.errors import SourceError, UsageError
from toolbench.lake import Lake, Spec
from toolbench.records import Judgment
from toolbench.report.agreement import differences
from toolbench.tooleval.agreement import Item, alpha, compare
from toolbench.tooleval.agreement_reading import read, with_lake


def test_agreement_on_livemcpbench_is_the_hand_count(data_dir: Path) -> None:
    path = data_dir / "judgments" / "livemcpbench.jsonl"
    items, kind = read(path)
    found = compare(items, kind)
    right: dict[str, int] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        for judge, verdict in row["judges"].items():
            right[judge] = right.get(judge, 0) + (verdict == row["human"])
    assert kind == "pass"
    assert found.items == 47 == len(items)
    assert {f.judge: f.right for f in found.judges} == right
    assert right == {
        "gpt-4.1-mini": 41, "qwen2.5-72b-int4": 41, "deepseek-v3-0324": 40, "gpt-4.1": 36, "qwen3-32b": 36
    }  # fmt: skip
    for f in found.judges:
        assert f.accuracy.mean == pytest.approx(right[f.judge] / 47)
        assert f.accuracy.low < f.accuracy.mean < f.accuracy.high
        assert f.missing == []
    assert (found.baseline.right, found.baseline.judge) == (33, "always solved")
    assert found.baseline.kappa
    assert found.baseline.kappa.mean == 0
    assert found.baseline.balanced_accuracy.mean == 0.5


@pytest.mark.parametrize(("right", "percent"), [(81, 85.26), (80, 84.21), (77, 81.05), (70, 73.68), (68, 71.58)])
def test_figures_of_95_items_are_of_95_whatever_has_no_verdict(tmp_path: Path, right: int, percent: float) -> None:
    """The published set has 95 items; a judge without a verdict on some of them is measured on all."""
    silent: list[Any] = [None, "", "N/A"]
    rows = [
        {"task_id": n, "human": "success" if n % 3 else "failure", "judges": {"other": "success"}} for n in range(95)
    ]
    for n, row in enumerate(rows):
        wrong = "failure" if row["human"] == "success" else "success"
        if n < right:
            row["judges"]["judge"] = row["human"]  # type: ignore[index]
        elif n < 94:
            row["judges"]["judge"] = wrong if n % 2 else silent[n % 3]  # type: ignore[index]
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    judge = next(f for f in compare(*read(path)).judges if f.judge == "judge")
    assert (judge.items, judge.right, round(100 * judge.accuracy.mean, 2)) == (95, right, percent)
    assert judge.missing == [str(n) for n in range(right, 95) if n % 2 == 0 or n == 94]
    assert sum(sum(row.values()) for row in judge.confusion.values()) == 95


def test_items_without_a_truth_are_listed_and_count_for_no_judge() -> None:
    found = compare(
        [
            Item("agreed", {"a": "solved", "b": "solved", "c": "unsolved"}, {"j": "solved"}),
            Item("split", {"a": "solved", "b": "unsolved"}, {"j": "solved"}),
            Item("bare", {}, {"j": "solved"}),
        ],
        "pass",
    )
    assert (found.items, found.split, found.unlabelled, found.annotators) == (1, ["split"], ["bare"], ["a", "b", "c"])
    assert found.judges[0].kappa is None  # one label alone: chance agrees always


_PAIRS = st.lists(st.tuples(*[st.sampled_from(["a", "tie", "b"])] * 2), min_size=2, max_size=60)


@given(_PAIRS)
@settings(max_examples=25, deadline=None)
def test_kappa_and_balanced_accuracy_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    items = [Item(str(n), {"p": truth}, {"j": verdict}) for n, (truth, verdict) in enumerate(pairs)]
    judge = compare(items, "preference").judges[0]
    truths, verdicts = [p[0] for p in pairs], [p[1] for p in pairs]
    if len({*truths, *verdicts}) > 1:
        assert judge.kappa
        assert judge.kappa.mean == pytest.approx(cohen_kappa_score(truths, verdicts, labels=["a", "tie", "b"]))
    else:
        assert judge.kappa is None
    if len(set(truths)) > 1 and set(verdicts) <= set(truths):  # scikit-learn warns of labels that only the judge uses
        assert judge.balanced_accuracy.mean == pytest.approx(balanced_accuracy_score(truths, verdicts))
    for c in judge.classes:
        assert c.right == sum(t == v == c.label for t, v in pairs)


@given(st.lists(st.lists(st.sampled_from([None, "x", "y", "z"]), min_size=3, max_size=3), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_alpha_is_that_of_the_library_with_labels_missing(units: list[list[str | None]]) -> None:
    found = alpha([[label for label in unit if label] for unit in units])
    paired = [label for unit in units if sum(map(bool, unit)) > 1 for label in unit if label]
    if len(set(paired)) < 2:
        assert found is None
        return
    codes = [[float("nan") if label is None else "xyz".index(label) for label in unit] for unit in units]
    data = [list(coder) for coder in zip(*codes, strict=True)]
    expected = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal", value_domain=[0, 1, 2])
    assert found
    assert found.mean == pytest.approx(expected)


def test_the_order_of_items_and_of_annotators_changes_nothing() -> None:
    draw = random.Random(3)
    items = [
        Item(str(n), {p: draw.choice(["a", "b", "tie"]) for p in "xyz"}, {"j": draw.choice(["a", "b", None])})
        for n in range(40)
    ]
    turned = [Item(i.id, dict(reversed(i.people.items())), i.judges) for i in reversed(items)]
    one, other = compare(items, "preference"), compare(turned, "preference")
    assert (one.judges[0].accuracy, one.judges[0].kappa, one.alpha_people) == (
        other.judges[0].accuracy, other.judges[0].kappa, other.alpha_people
    )  # fmt: skip


def a_vote(solution: str, verdict: Any, vote: int = 0, model: str = "judge-1") -> Judgment:
    return Judgment(
        id=f"{solution}-{vote}", solution_id=solution, instruction_id=f"i-{solution}", group="I1", category="Weather",
        collection="", split="train", vote=vote, verdict=verdict, reason=f"{solution} is {verdict}", model=model,
        prompt_digest="p", seed=0, input_tokens=0, output_tokens=0, cost=0.0,
    )  # fmt: skip


def test_our_own_judgments_are_joined_to_peoples_labels(lake: Lake) -> None:
    votes = [
        *(a_vote("one", v, n) for n, v in enumerate(["solved", "solved", "unsolved"])),
        *(a_vote("two", v, n) for n, v in enumerate(["solved", "unsolved"])),
        a_vote("three", "unsolved", model="rule"),
        a_vote("four", "solved"),
    ]
    spec = Spec(stage="judgments", label="", partition={"group": "I1"}, records=[], content="x", params={})
    view = publish(lake, [lake.finish(spec, {Judgment: votes}, taken_in=7, passed_on=7)], ("judgments",))
    items = [Item(name, {"me": "solved"}, {}) for name in ("one", "two", "three", "i-four", "stranger")]
    joined = with_lake(items, lake, view)
    assert [item.judges.get("judge-1") for item in joined] == ["solved", "unsure", "unsolved", "solved", None]
    assert joined[0].reasons == {"judge-1": "one is solved / one is unsolved"}
    assert joined[2].reasons == {"judge-1": "three is unsolved"}
    found = compare(joined, "pass").judges[0]
    assert (found.items, found.right, found.missing) == (5, 2, ["stranger"])
    with pytest.raises(SourceError, match="ids have to be those of solutions or instructions"):
        with_lake([Item("stranger", {"me": "solved"}, {})], lake, view)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no item"),
        ("{", "line 1: this is not JSON"),
        ("[]", "line 1: this is not a JSON object"),
        ('{"item": "a"}', "`people` has to be an object"),
        ('{"people": {"x": "solved"}}', "`item` has to be"),
        ('{"item": "a", "people": {"x": "perhaps"}}', '"perhaps" is no label'),
        ('{"item": "a", "people": {"x": "a"}}\n\n{"item": "b", "people": {"x": "solved"}}', "line 3.*one of a, tie, b"),
        ('{"item": "a", "people": {"x": true}, "judges": []}', "`judges` has to be"),
        ('{"item": "a", "people": {}}\n{"item": "a", "people": {}}', "item a more than once"),
        ('{"item": "a", "people": {}, "judges": {"j": "pass"}}', "No item has a label"),
        ('{"item": "a", "people": {"x": "pass"}}', "No item has a judge"),
        ("\ud800", "not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError, match=complaint):
        compare(*read(path))
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path / "none.jsonl")


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["solved", "a", "tie", "fail"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["item", "people", "judges", "human", "messages", "role", "tool_calls", "function", "x"]), inner
    ),
    max_leaves=12,
)  # fmt: skip


@given(_ANY, _ANY)
@settings(max_examples=60, deadline=None)
def test_any_json_is_read_or_complained_about(tmp_path_factory: pytest.TempPathFactory, one: Any, other: Any) -> None:
    path = tmp_path_factory.mktemp("any") / "labels.jsonl"
    row = {"item": 1, "people": {"p": "solved"}, "judges": one, "messages": other}
    path.write_text(f"{json.dumps(row)}\n{json.dumps(other)}\n")
    with contextlib.suppress(UsageError):
        items, kind = read(path)
        assert differences(items, compare(items, kind), "x").startswith("<!doctype html>")


def test_the_page_shows_where_they_differ_and_escapes_what_it_shows() -> None:
    hostile = "<script>alert(1)</script>\u202e"
    turns = [("assistant", f"{hostile} {n} " + "x" * 900) for n in range(40)]
    items = [
        Item("same", {"p": "solved"}, {"j": "solved"}),
        Item(hostile, {hostile: "unsolved"}, {"j": "solved", hostile: None}, hostile, hostile, turns, {"j": hostile}),
    ]
    page = differences(items, compare(items, "pass"), hostile)
    for absent in ("<script", "\u202e", "http://", "https://"):
        assert absent not in page
    for there in ("&lt;script&gt;", "default-src 'none'", "24 more turns", "more characters", "no verdict"):
        assert there in page
    assert "1 of 2 judges differ" in page  # the hostile one has no verdict on `same`
    assert page.count('class="case"') == 2
    assert page == differences(items, compare(items, "pass"), hostile)


def test_the_page_says_so_where_all_agree() -> None:
    items = [Item("a", {"p": "a"}, {"j": "a"})]
    assert "every judge gives every item" in differences(items, compare(items, "preference"), "x")
