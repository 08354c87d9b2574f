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


def _lake(lake: Lake, pairs: list[RetrievalPair], apis: list[Api] = APIS) -> None:
    content = "/".join(f"{a.id} {a.description}" for a in apis) + "/".join(f"{p.id} {p.document}" for p in pairs)
    spec = Spec(stage="test", label="", partition={"source": "t"}, records=[], content=content, params={})
    tools = list({api.tool_id: a_tool(api) for api in apis}.values())
    draft = Draft()
    draft.add(
        [lake.finish(spec, {Api: apis, Tool: tools, RetrievalPair: pairs}, taken_in=0, passed_on=0)],
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
    assert finished(lake, specification(lake, view, settings)) == entry


def test_an_api_that_no_training_reads_calls_for_no_training(lake: Lake, settings: Settings) -> None:
    def spec(pairs: list[RetrievalPair], apis: list[Api], **changes: object) -> str:
        _lake(lake, pairs, apis)
        return specification(lake, lake.snapshot(), settings.with_(retriever=changes))

    wanted, other = APIS[0], APIS[3]
    pairs = [_pair(f"find {api.name}", api) for api in APIS[:2]]
    measured = _pair("measured", APIS[2], "instruction")
    first = spec(pairs, APIS)
    elsewhere = [*APIS[:3], replace(other, description="in other words")]
    sibling = [*APIS, replace(wanted, id=f"{wanted.tool_id}/more", description="of a tool that is trained on")]
    assert spec(pairs, elsewhere) == spec(pairs, sibling) == first, "no negatives are drawn: the index is enough"
    assert spec([*pairs, measured], APIS) == first, "what is measured is not trained on"
    assert spec([replace(pairs[0], document="in other words"), pairs[1]], APIS) != first
    assert spec(pairs[:1], APIS) != first
    ours = spec(pairs, APIS, preset="ours")
    assert spec(pairs, elsewhere, preset="ours") == ours != first
    assert spec(pairs, sibling, preset="ours") != ours, "it may be drawn as a negative"
