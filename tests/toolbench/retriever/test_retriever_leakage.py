from collections import Counter
from typing import Any

import pytest

from toolbench.records import RetrievalPair, Split
from toolbench.retriever.leakage import held_out, without_held_out


def _pair(query: str, api: str, split: Split = "train", query_id: str = "") -> RetrievalPair:
    return RetrievalPair(
        id=f"{query}/{api}", query_id=query_id or query, query=query, api_id=api, document="", group="I1", category="",
        collection="", split=split, model="none",
    )  # fmt: skip


MEASURED = [
    _pair("Is it raining in Oslo?", "Weather/sky/rain", "instruction", "q1"),
    _pair("the moon, please", "Astronomy/moon-0a1b2c3d/phase", "tool", "q2"),
    _pair("show a film", "Movies/films/list", "category", "q3"),
]


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        (_pair("IS it raining, in  Oslo", "Weather/other/now"), "query"),
        (_pair("tonight's moon", "Astronomy/moon/rise"), "tool"),
        (_pair("tonight's moon", "Astronomy/moon-99999999/rise"), "tool"),
        (_pair("who plays in it", "Movies/actors/of_film"), "category"),
    ],
)
def test_a_planted_pair_is_found_and_its_whole_query_goes(planted: RetrievalPair, kind: str) -> None:
    held = held_out(MEASURED)
    assert f"its {kind} " in (held.fault(planted) or "")
    companion = _pair(planted.query, "Weather/sky/wind")
    clean = [_pair("wind in Bergen", "Weather/sky/wind"), _pair("a star", "Astronomy/moonlight/star")]
    kept, counts = without_held_out([planted, companion, *clean], held)
    assert kept == clean
    assert counts == Counter({f"queries: {kind}": 1, "pairs": 2})


def test_the_tool_of_an_unseen_instruction_may_be_trained_on() -> None:
    assert held_out(MEASURED).fault(_pair("snow in Oslo", "Weather/sky/snow")) is None


def test_training_queries_on_the_real_test_sets_tools_and_categories_are_few_and_go(data_dir: Any) -> None:
    """The counts that `docs/retriever.md` states."""
    from toolbench.catalogue.names import category_folder, plain_api_id
    from toolbench.retriever.pairs import of_files, of_test_files

    measured, _ = of_test_files([str(f) for f in sorted((data_dir / "test_instruction").glob("*.json"))], plain_api_id)
    assert Counter(p.split for p in {p.query_id: p for p in measured}.values()) == {
        "instruction": 247, "tool": 94, "category": 211,
    }  # fmt: skip
    held = held_out(measured)
    assert (len(held.tools), len(held.categories)) == (72, 6)
    assert held.categories <= {category_folder(c) for c in held.categories}
    pairs, _ = of_files([str(data_dir / "retrieval" / "G3_train.json")], plain_api_id)
    assert len({p.query for p in pairs}) > 4700
    kept, counts = without_held_out(pairs, held)
    assert (counts["queries: query"], counts["queries: tool"] + counts["queries: category"]) == (0, 318)
    assert all(held.fault(p) is None for p in kept)
