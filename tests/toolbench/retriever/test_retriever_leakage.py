import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbench.catalogue.names import plain_api_id
from toolbench.records import RetrievalPair, Split
from toolbench.retriever.leakage import held_out, without_held_out


def _pair(query: str, api: str, split: Split = "train", query_id: str = "") -> RetrievalPair:
    return RetrievalPair(
        id=f"{query}/{api}", query_id=query_id or query, query=query, api_id=api, document="", group="I1", category="",
        collection="", split=split, model="none",
    )  # fmt: skip


DROPPED = {"queries: tool": 114, "queries: category": 203}
"""Queries of the published training file that touch a held-out tool or category of the test files, by their text."""

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


def _of_test_file(path: Path) -> Iterator[RetrievalPair]:
    for entry in json.loads(path.read_text()):
        split = {"tool": "tool", "category": "category"}.get(path.stem.partition("_")[2], "instruction")
        text = entry["query"] if isinstance(entry["query"], str) else entry["query"][0]
        for api in entry["api_list"]:
            if [api["tool_name"], api["api_name"]] in [names[:2] for names in entry["relevant APIs"]]:
                api_id = plain_api_id(api["category_name"], api["tool_name"], api["api_name"])
                yield _pair(text, api_id, split, f"{path.stem}/{entry['query_id']}")  # type: ignore[arg-type]


def test_real_training_queries_on_the_tools_and_categories_of_the_test_set_go(data_dir: Path) -> None:
    """The counts that `docs/retriever.md` states."""
    measured = [p for path in sorted((data_dir / "test_instruction").glob("*.json")) for p in _of_test_file(path)]
    assert len({p.query_id for p in measured}) == 552
    held = held_out(measured)
    assert (len(held.tools), len(held.categories)) == (72, 6)
    entries = json.loads((data_dir / "retrieval" / "G3_train.json").read_text())
    pairs = [_pair(e["query"], plain_api_id(*names)) for e in entries for names in e["relevant"]]
    kept, counts = without_held_out(pairs, held)
    assert {k: n for k, n in counts.items() if k != "pairs"} == DROPPED, "no test query is among them"
    assert len({p.query for p in pairs}) - len({p.query for p in kept}) == sum(DROPPED.values())
    assert all(held.fault(p) is None for p in kept)
