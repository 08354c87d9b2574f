import pytest

from toolbench.lake import ModelEntry
from toolbench.records import Group, RetrievalPair, Split
from toolbench.retriever import Ranking, compare, decide, measure
from toolbench.retriever.evaluation import Measured, Queries, plot, rows
from toolbench.statistics import Estimate


def pair(query: str, api: str, group: Group = "I1", split: Split = "instruction") -> RetrievalPair:
    return RetrievalPair(
        id=f"{query}/{api}", query_id=query, query=f"text of {query}", api_id=api, document="", group=group,
        category="", collection="", split=split, model="none",
    )  # fmt: skip


PAIRS = [pair("q1", "a"), pair("q1", "b"), pair("q2", "a", "I2", "tool"), pair("q3", "c", "I2")]


class Fixed:
    """Finds the same for every query, but for `q3`."""

    def __init__(self) -> None:
        self.api_ids = ["a", "b", "c"]

    def rank(self, queries: list[str], k: int, allowed: object = None) -> list[Ranking]:
        return [Ranking([] if q == "text of q3" else ["a", "b"][:k], [0.5, 0.4][:k]) for q in queries]


def entry(spec: str) -> ModelEntry:
    return ModelEntry(path=f"models/retriever/{spec}", files={}, metrics={}, spec=spec)


def test_figures_go_by_group_and_split_with_their_intervals() -> None:
    queries = Queries.of(PAIRS)
    assert queries.relevant == {"q1": {"a", "b"}, "q2": {"a"}, "q3": {"c"}}
    summary = measure(Fixed(), queries).summary(queries)
    found = {name: summary["group"][name]["completeness@3"]["mean"] for name in ("I1", "I2")}
    assert found == {"I1": 1.0, "I2": 0.5}
    assert summary["split"]["tool"] == summary["split"]["tool"] | {"queries": 1}
    everything = summary["all"]["recall@1"]
    assert everything["mean"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert 0 <= everything["low"] < everything["mean"] < everything["high"] <= 1
    assert everything["se"] == pytest.approx(0.5 / 3**0.5)
    assert summary["split"]["tool"]["ndcg@5"]["se"] is None
    table = rows({"m": summary})
    assert [(row["model"], row["slice"], row["queries"]) for row in table] == [
        ("m", "all", 3), ("m", "I1", 1), ("m", "I2", 2), ("m", "instruction", 2), ("m", "tool", 1),
    ]  # fmt: skip
    assert table[1]["ndcg@5"] == "100.0 (100.0 to 100.0)"
    assert plot({"m": summary}).startswith(b"<?xml")


def scored(values: list[float]) -> Measured:
    return Measured({"ndcg@5": {f"q{n}": v for n, v in enumerate(values)}})


def test_a_model_replaces_another_unless_it_is_worse_beyond_the_interval() -> None:
    old = scored([0.5, 0.6, 0.7, 0.4] * 10)
    a_little_worse = scored([0.4, 0.7, 0.6, 0.4] * 10)
    much_worse = scored([0.3, 0.4, 0.4, 0.3] * 10)
    assert compare(old, old) == Estimate(0, 0, 0, 40, 40)
    for candidate, promoted in ((a_little_worse, True), (much_worse, False), (scored([0.9] * 40), True)):
        gain = compare(candidate, old)
        assert gain is not None
        made = decide(entry("new"), entry("old"), gain)
        assert (made.promoted, made.serves) == (promoted, "new" if promoted else "old")
        assert f"{100 * gain.mean:+.1f}" in made.sentence()
        assert ("goes on serving" in made.sentence()) is not promoted


def test_without_a_comparison_the_newest_serves() -> None:
    assert decide(entry("new"), None, None).sentence() == "new serves: there was no model before it."
    assert "no queries are held out" in decide(entry("new"), entry("old"), None).sentence()
    assert "as before" in decide(entry("old"), entry("old"), None).sentence()


def test_only_the_same_queries_are_compared() -> None:
    with pytest.raises(ValueError, match="different queries"):
        compare(scored([1.0]), scored([1.0, 0.0]))
