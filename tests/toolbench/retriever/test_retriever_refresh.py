from dataclasses import replace

import pytest
from workshop import a_tool, an_api

from toolbench.documents import document
from toolbench.lake import Draft, Lake, Spec
from toolbench.records import Api, RetrievalPair, Split, Tool
from toolbench.retriever import finished, specification, train_in_lake
from toolbench.settings import Settings

APIS = [an_api("Sky", "rain"), an_api("Sea", "weather"), an_api("Songs", "lyrics"), an_api("Taxes", "income")]


def _pair(query: str, api: Api, split: Split = "train") -> RetrievalPair:
    return RetrievalPair(
        id=f"{query}/{api.id}", query_id=query, query=query, api_id=api.id, document=document(api), group="I1",
        category=api.category, collection="", split=split, model="none",
    )  # fmt: skip


def _lake(lake: Lake, pairs: list[RetrievalPair]) -> None:
    spec = Spec(stage="test", label="", partition={"source": "t"}, records=[], content="x", params={})
    tools = [a_tool(api) for api in APIS]
    draft = Draft()
    draft.add(
        [lake.finish(spec, {Api: APIS, Tool: tools, RetrievalPair: pairs}, taken_in=0, passed_on=0)],
        ("apis", "tools", "retrieval_pairs"),
    )
    lake.publish(draft, "test")


@pytest.fixture
def settings(tiny_base: str) -> Settings:
    return Settings().with_(retriever={"base": tiny_base, "max_tokens": 32, "batch_size": 4})


def test_training_pairs_on_what_imported_instructions_hold_out_are_left_out_and_counted(
    lake: Lake, settings: Settings
) -> None:
    training = [_pair(f"{start} {api.name}", api) for start in ("find", "please") for api in APIS]
    imported = replace(_pair("the artist", APIS[2]), split="tool")
    _lake(lake, [*training, imported])
    view = lake.snapshot()
    entry = train_in_lake(lake, view, settings)
    assert entry.metrics["left_out"] == 2
    assert entry.metrics["train_pairs"] == 6
    assert entry.metrics["after"]["split"].keys() == {"tool"}
    assert entry.metrics["before"]["all"]["queries"] == 1
    assert finished(lake, specification(view, settings)) == entry
