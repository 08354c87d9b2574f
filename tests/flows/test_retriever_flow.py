"""The retriever as a flow, on a night that changes nothing its weights rest on: only its index moves."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from workshop import a_tool, an_api

from flows.retriever import train_retriever
from toolbench.documents import document
from toolbench.lake import Draft, Lake, Spec
from toolbench.records import Api, RetrievalPair, Tool
from toolbench.retriever import INDEX, MODEL, NEWEST
from toolbench.retriever.embeddings import FOLDER
from toolbench.retriever.serving import bm25, dense

RAIN, MOON, SONG = an_api("Sky", "rain"), an_api("Space", "moon"), an_api("Songs", "lyrics", description="the song")
REWORDED = replace(SONG, description="the artist of the song", digest="reworded")


def published(lake: Lake, *apis: Api) -> None:
    """A snapshot with these APIs, and with the same training pairs, none of which is about the last of them."""
    pairs = [
        RetrievalPair(
            id=f"{query}/{api.id}", query_id=query, query=query, api_id=api.id, document=document(api), group="I1",
            category=api.category, collection="", split="train", model="some-teacher",
        )
        for query, api in (("find rain", RAIN), ("find moon", MOON), ("rain please", RAIN), ("moon please", MOON))
    ]  # fmt: skip
    rows: dict[Any, list[Any]] = {Api: list(apis), Tool: [a_tool(api) for api in apis], RetrievalPair: pairs}
    spec = Spec(stage="test", label="", partition={"source": "t"}, records=[], content=apis[-1].digest, params={})
    draft = Draft()
    draft.add([lake.finish(spec, rows, taken_in=0, passed_on=0)], tuple(kind.TABLE for kind in rows))
    lake.publish(draft, "test")


def encoded(lake: Lake) -> list[int]:
    """How many documents were encoded at a time."""
    stored = [lake.store.read(key) for key, _ in lake.store.list(FOLDER)]
    return sorted(len(np.load(io.BytesIO(data))["names"]) for data in stored)


def test_an_api_in_other_words_that_no_training_reads_is_indexed_without_a_training(
    lake: Lake, tiny_base: str, options: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = options(lake.uri, {"retriever.base": tiny_base, "retriever.max_tokens": 32, "retriever.batch_size": 2})
    published(lake, RAIN, MOON, SONG)
    train_retriever(given)
    first = lake.snapshot()
    assert first.models[MODEL].metrics["train_pairs"] == 4
    assert encoded(lake) == [3]
    with dense(lake, first) as found:
        before = found.index.embeddings.copy()

    monkeypatch.setattr("flows.retriever.train_retriever_shard", lambda *_: pytest.fail("it was trained again"))
    published(lake, RAIN, MOON, REWORDED)
    done = train_retriever(given)
    second = lake.snapshot()
    assert done.snapshot == second.number
    assert (second.models[MODEL], second.models[NEWEST]) == (first.models[MODEL], first.models[NEWEST])
    assert second.models[INDEX] != first.models[INDEX]
    assert encoded(lake) == [1, 3], "only what is described in other words"
    with dense(lake, second) as found:
        changed = np.any(found.index.embeddings != before, axis=1)
        assert [api for api, other in zip(found.api_ids, changed, strict=True) if other] == [SONG.id]
    with bm25(lake, second) as words:
        assert words.rank(["artist"], 1)[0].api_ids[0] == SONG.id

    assert train_retriever(given).snapshot == second.number, "nothing has changed since"
    assert lake.snapshot().models == second.models
