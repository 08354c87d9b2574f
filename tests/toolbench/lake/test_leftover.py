"""What stays in a partition whose shards could not all be done."""

import dataclasses

import pytest
from workshop import an_api

from toolbench.lake import Draft, Lake, Outcome, Receipt, Snapshot, Spec, emptied
from toolbench.records import Api, Instruction, Record, Reject

WHERE = {"group": "I1", "category": "Weather"}
TABLES = ("instructions",)


def a_spec(name: str, stage: str = "instructions", **partition: str) -> Spec:
    return Spec(stage=stage, label=name, partition=partition or WHERE, records=[name], content=name, params={})


def an_instruction(name: str, *apis: str) -> Instruction:
    return Instruction(
        id=name, group="I1", category="Weather", collection="", combination_id=name, text=name, candidates=list(apis),
        relevant=list(apis), split="train", model="m", prompt_digest="", seed=0, input_tokens=0, output_tokens=0,
        cost=0.0,
    )  # fmt: skip


def finished(lake: Lake, name: str, *rows: Record, rejects: int = 0) -> Receipt:
    bad = [Reject(id=f"{name}{n}", stage="instructions", record_id=name, reason="r", detail="") for n in range(rejects)]
    content: dict[type[Record], list[Record]] = {Instruction: list(rows), Reject: list(bad)}
    return lake.finish(a_spec(name), content, taken_in=len(rows) + rejects, passed_on=len(rows))


def catalogue(lake: Lake, *apis: Api) -> Draft:
    draft = Draft()
    spec = a_spec("-".join(api.digest + api.split for api in apis), "catalogue", category="Weather", source="s")
    draft.add([lake.finish(spec, {Api: list(apis)}, taken_in=len(apis), passed_on=len(apis))], ("apis",))
    return draft


SKY, SEA = an_api("Sky", "rain"), an_api("Sea", "tides")


@pytest.fixture
def base(lake: Lake) -> Snapshot:
    """Two shards: one about the sky, with a reject; one about the sea."""
    draft = catalogue(lake, SKY, SEA)
    draft.add([finished(lake, "sky", an_instruction("a", SKY.id), rejects=1), finished(lake, "sea", an_instruction("b", SEA.id))], TABLES)  # fmt: skip  # noqa: E501
    return lake.publish(draft, "test")


def cut(lake: Lake, draft: Draft, *done: Receipt, left: tuple[Spec, ...] = (a_spec("new"),)) -> dict[str, list[str]]:
    """Shards by table in the view of a night that left `left`."""
    outcome = Outcome("instructions", list(done), 0, 1.0)
    outcome.lake, outcome.left, outcome.stopped = lake, list(left), "The budget is used up."
    outcome.add_to(draft, flow="test", main="instructions", tables=TABLES, model="")
    view = draft.view(lake.snapshot())
    return {
        table: sorted(lake_label(lake, e.spec) for e in view.entries(table)) for table in ("instructions", "rejects")
    }


def lake_label(lake: Lake, spec: str) -> str:
    receipt = lake.receipt(spec)
    assert receipt
    return receipt.label


def test_what_is_true_stays_beside_what_is_done(lake: Lake, base: Snapshot) -> None:
    done = finished(lake, "more", an_instruction("c", SKY.id))
    assert cut(lake, Draft(), done) == {"instructions": ["more", "sea", "sky"], "rejects": ["sky"]}


def test_what_a_finished_shard_has_made_anew_goes_with_its_rejects(lake: Lake, base: Snapshot) -> None:
    done = finished(lake, "again", an_instruction("a", SKY.id))
    assert cut(lake, Draft(), done) == {"instructions": ["again", "sea"], "rejects": []}


@pytest.mark.parametrize("change", [{"digest": "other"}, {"split": "tool"}])
def test_what_rests_on_an_api_that_changed_goes(lake: Lake, base: Snapshot, change: dict[str, str]) -> None:
    draft = catalogue(lake, dataclasses.replace(SKY, **change), SEA)  # type: ignore[arg-type]
    assert cut(lake, draft) == {"instructions": ["sea"], "rejects": []}


def test_what_rests_on_an_api_that_is_gone_goes_and_what_is_left_empty_is_known(lake: Lake, base: Snapshot) -> None:
    draft = catalogue(lake, an_api("Other", "thing"))
    assert cut(lake, draft) == {"instructions": [], "rejects": []}
    assert emptied(draft, "instructions") == [WHERE]


def test_partitions_without_a_shard_left_are_replaced_as_ever(lake: Lake, base: Snapshot) -> None:
    done = finished(lake, "more", an_instruction("c", SKY.id))
    elsewhere = (a_spec("new", group="I1", category="Music"),)
    assert cut(lake, Draft(), done, left=elsewhere) == {"instructions": ["more"], "rejects": []}


def test_a_shard_that_was_there_before_stands_once(lake: Lake, base: Snapshot) -> None:
    receipt = lake.receipt(a_spec("sky").digest)
    assert receipt
    assert cut(lake, Draft(), receipt) == {"instructions": ["sea", "sky"], "rejects": ["sky"]}


def test_the_row_of_runs_says_how_many_are_left_and_why(lake: Lake, base: Snapshot) -> None:
    draft = Draft()
    cut(lake, draft, left=(a_spec("new"), a_spec("newer")))
    assert [(run["left"], run["stopped"]) for run in draft.runs] == [(2, "The budget is used up.")]
