"""What is held out is looked for in every training row before anything is published."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from workshop import Factory, an_api

from toolbench import holdout
from toolbench.errors import LakeError
from toolbench.lake import Draft, Lake, Snapshot, Spec
from toolbench.records import Api, Conversation, Instruction, Record, RetrievalPair, Solution

APIS = [an_api("Sun", "rise"), an_api("Sun", "set"), an_api("Moon", "rise", split="tool")]


def instruction(name: str, split: str, *candidates: str) -> Instruction:
    return Instruction(
        id=name, group="I1", category="Weather", collection="", combination_id="c", text="When does it rise?",
        candidates=list(candidates), relevant=list(candidates[:1]), split=split, model="m", prompt_digest="p", seed=0,
        input_tokens=0, output_tokens=0, cost=0.0,
    )  # fmt: skip


def pair(split: str, query: str, api: str) -> RetrievalPair:
    return RetrievalPair(
        id="p1", query_id=query, query="?", api_id=api, document="", group="I1", category="Weather", collection="",
        split=split, model="m",
    )  # fmt: skip


def conversation(split: str, query: str) -> Conversation:
    return Conversation(
        id="c1", instruction_id=query, solution_id="s", group="I1", category="Weather", collection="", split=split,
        tools="[]", messages=[], model="m",
    )  # fmt: skip


def solution(split: str, query: str) -> Solution:
    return Solution(
        id="s1", instruction_id=query, group="I1", category="Weather", collection="", split=split, method="dfsdt",
        outcome="solved", reason="", final_answer="", steps=[], path=[], model="m", prompt_digest="", seed=0, calls=0,
        input_tokens=0, output_tokens=0, cost=0.0,
    )  # fmt: skip


def view_of(lake: Lake, *rows: Record, source: str = "source") -> Snapshot:
    """A snapshot with these rows, whatever they are."""
    draft = Draft()
    by_kind: dict[type[Record], list[Any]] = {}
    for row in rows:
        by_kind.setdefault(type(row), []).append(row)
    for kind, mine in by_kind.items():
        partition = {source: "x"}
        spec = Spec(stage="t", label="", partition=partition, records=[], content=str(mine), params={"s": source})
        receipt = lake.finish(spec, {kind: mine}, taken_in=0, passed_on=0)
        draft.add([receipt], (kind.TABLE,))
    return draft.view(lake.snapshot())


GOOD: Sequence[Record] = (
    *APIS,
    instruction("i1", "train", "Weather/sun/rise", "Weather/sun/set"),
    instruction("i2", "tool", "Weather/moon/rise"),
    instruction("i3", "instruction", "Weather/sun/set"),
)


def test_what_the_factory_makes_may_be_published(factory: Factory) -> None:
    holdout.check(factory.lake, factory.dataset.view)
    assert {a.split for a in factory.lake.rows(factory.dataset.view, Api)} > {"train"}, "something is held out at all"


def test_held_out_rows_may_offer_what_is_held_out(lake: Lake) -> None:
    rows = (pair("tool", "i2", "Weather/moon/rise"), conversation("train", "i1"), solution("instruction", "i3"))
    holdout.check(lake, view_of(lake, *GOOD, *rows))
    holdout.check(lake, Snapshot())
    for n in (0, 2):  # the same rows, to be trained on
        with pytest.raises(LakeError, match="which is held out"):
            holdout.check(lake, view_of(lake, *GOOD, *rows[:n], replace(rows[n], split="train"), *rows[n + 1 :]))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            instruction("i9", "train", "Weather/sun/rise", "Weather/moon/rise"),
            "row i9 of table instructions offers Weather/moon/rise",
        ),
        (solution("train", "i2"), "row s1 of table solutions rests on instruction i2"),
        (conversation("train", "i3"), "row c1 of table conversations rests on instruction i3"),
        (pair("train", "i2", "Weather/sun/rise"), "row p1 of table retrieval_pairs rests on instruction i2"),
        (pair("train", "i1", "Weather/moon/rise"), "row p1 of table retrieval_pairs has Weather/moon/rise"),
    ],
)
def test_a_training_row_with_anything_held_out_is_named(lake: Lake, row: Record, said: str) -> None:
    with pytest.raises(LakeError, match=f"{said}, which is held out; nothing was published"):
        holdout.check(lake, view_of(lake, *GOOD, row))


def test_apis_that_came_with_instructions_hold_nothing_out(lake: Lake) -> None:
    trained = view_of(lake, *APIS[:2], instruction("i1", "train", "Weather/moon/rise"))

    def offered(source: str) -> Snapshot:
        brought = view_of(lake, APIS[2], source=source)
        return Snapshot(
            tables={name: [*brought.entries(name), *trained.entries(name)] for name in ("apis", "instructions")}
        )

    holdout.check(lake, offered("instructions"))
    with pytest.raises(LakeError, match="offers Weather/moon/rise, which is held out"):
        holdout.check(lake, offered("source"))
