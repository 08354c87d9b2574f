"""What a shard alone cannot see: instructions that repeat those of other shards, nights and tests."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from toolbench.errors import SourceError
from toolbench.instructions import TABLES, compare
from toolbench.lake import Draft, Lake, Receipt, Snapshot, Spec
from toolbench.records import Combination, Instruction, Reject
from toolbench.settings import Settings

PARTITION = {"group": "I1", "category": "Weather"}
TEXTS = {
    "rain": "Will it rain in Bergen on Friday afternoon, and how many millimetres should we expect for the barbecue?",
    "song": "Find me three cheerful songs from 1974 that a choir of twelve amateurs could learn within one evening.",
    "loan": "What is the monthly rate of a loan over 240000 euros at 3.1 percent that runs for twenty years?",
    "moon": "How old is the moon on the night of our wedding, the ninth of August, as seen from Lisbon?",
    "verb": "Please conjugate the Portuguese verb trazer in the present tense, for my class tomorrow morning.",
}
AGAIN = TEXTS["rain"].replace("barbecue", "picnic")


def rows_of(texts: Sequence[tuple[str, str]], split: str = "train") -> list[Instruction]:
    return [
        Instruction(
            id=name, group="I1", category="Weather", collection="", combination_id=f"c-{name}", text=text,
            candidates=["Weather/a/b"], relevant=["Weather/a/b"], split=split, model="m", prompt_digest="p", seed=0,
            input_tokens=1, output_tokens=1, cost=0.0,
        )
        for name, text in texts
    ]  # fmt: skip


def shard(lake: Lake, label: str, rows: Sequence[Instruction]) -> tuple[Spec, Receipt]:
    """A shard as the stage leaves it, with one reject of its own and a journal."""
    spec = Spec(
        stage="instructions", label=label, partition=PARTITION, records=[r.combination_id for r in rows],
        content=label, params={"version": 1},
    )  # fmt: skip
    combinations = [
        Combination(
            id=r.combination_id, group="I1", category="Weather", collection="", apis=r.candidates, split=r.split,
            seed=1, content="x",
        )
        for r in rows
    ]  # fmt: skip
    reject = Reject(id=f"r-{label}", stage="instructions", record_id="c#1", reason="too_short", detail="It is.")
    lake.store.write(f"journals/{spec.digest}/a.parquet", label.encode())
    lake.put_spec(spec)
    receipt = lake.finish(
        spec, {Combination: combinations, Instruction: rows, Reject: [reject]}, taken_in=len(rows) + 1,
        passed_on=len(rows),
    )  # fmt: skip
    return spec, receipt


def texts_of(lake: Lake, receipts: Sequence[Receipt]) -> list[list[str]]:
    return [[r.id for r in lake.read([x.tables["instructions"]], Instruction)] for x in receipts]


def rejected(lake: Lake, receipts: Sequence[Receipt]) -> dict[str, str]:
    entries = [r.tables["rejects"] for r in receipts if "rejects" in r.tables]
    return {row.record_id: row.reason for row in lake.read(entries, Reject) if row.reason != "too_short"}


def publish(lake: Lake, receipts: Sequence[Receipt]) -> Snapshot:
    draft = Draft()
    draft.add(list(receipts), TABLES)
    for receipt in receipts:
        receipt.check("instructions")
    return lake.publish(draft, "test")


def settled(lake: Lake, *made: tuple[Spec, Receipt], settings: Settings | None = None) -> list[Receipt]:
    specs, receipts = zip(*made, strict=True)
    return compare(lake, lake.snapshot(), settings or Settings(), specs, receipts)


def test_the_first_of_two_near_duplicates_stays(lake: Lake) -> None:
    one = shard(lake, "one", rows_of([("rain", TEXTS["rain"]), ("song", TEXTS["song"])]))
    two = shard(lake, "two", rows_of([("again", AGAIN), ("loan", TEXTS["loan"])]))
    found = settled(lake, one, two)
    assert texts_of(lake, found) == [["rain", "song"], ["loan"]]
    assert rejected(lake, found) == {"again": "near_duplicate"}
    assert found[0] == one[1], "a shard that loses nothing is what it was"
    assert found[1].spec != two[1].spec
    publish(lake, found)  # its counts add up
    assert [(r.taken_in, r.passed_on, r.rejected) for r in found] == [(3, 2, 1), (3, 1, 2)]
    assert lake.store.read(f"journals/{found[1].spec}/a.parquet") == b"two", "its journal is its own"


def test_earlier_nights_come_first_whatever_the_order(lake: Lake) -> None:
    first = shard(lake, "first", rows_of([("rain", TEXTS["rain"])]))
    publish(lake, settled(lake, first))
    new = shard(lake, "new", rows_of([("again", AGAIN), ("moon", TEXTS["moon"])]))
    for made in ((new, first), (first, new)):
        found = settled(lake, *made)
        assert sorted(texts_of(lake, found)) == [["moon"], ["rain"]]
        assert rejected(lake, found) == {"again": "near_duplicate"}


def test_a_shard_that_was_trimmed_stays_so_the_next_night(lake: Lake) -> None:
    one = shard(lake, "one", rows_of([("rain", TEXTS["rain"])]))
    two = shard(lake, "two", rows_of([("again", AGAIN), ("loan", TEXTS["loan"])]))
    first = settled(lake, one, two)
    publish(lake, first)
    assert settled(lake, one, two) == first
    assert settled(lake, two, one) == first[::-1], "the next plan may name them in another order"


def test_other_partitions_count_and_those_that_are_replaced_do_not(lake: Lake) -> None:
    old = shard(lake, "old", rows_of([("rain", TEXTS["rain"])]))
    publish(lake, settled(lake, old))
    only_new = shard(lake, "new", rows_of([("again", AGAIN)]))
    assert texts_of(lake, settled(lake, only_new)) == [["again"]], "the old shard of this partition is no longer there"
    spec, receipt = shard(lake, "elsewhere", rows_of([("again", AGAIN), ("song", TEXTS["song"])]))
    moved = receipt.model_copy(update={"partition": {"group": "I2", "category": "Weather"}})
    assert texts_of(lake, settled(lake, (spec, moved))) == [["song"]]


def test_nothing_to_be_trained_on_stands_in_a_test(lake: Lake, tmp_path: Path) -> None:
    long = "we are planning the summer party of our rowing club near the old harbour bridge"
    test = shard(lake, "test", rows_of([("held", f"Hello, {long} and need the weather.")], split="instruction"))
    train = shard(lake, "train", rows_of([("taught", f"As {long}, tell me when the sun sets."), *TEXTS.items()]))
    found = settled(lake, test, train)
    assert rejected(lake, found) == {"taught": "contaminated"}
    named = tmp_path / "tests.json"
    named.write_text(json.dumps([{"query": f"Before anything else: {TEXTS['loan']} Thanks!"}]))
    settings = Settings().with_(instructions={"test_files": (str(named),)})
    assert rejected(lake, settled(lake, test, train, settings=settings)) == {
        "taught": "contaminated",
        "loan": "contaminated",
    }
    publish(lake, settled(lake, train))
    later = settled(lake, train, test)
    assert rejected(lake, later) == {"held": "contaminated"}, "what was trained on is no test any more"


def test_a_test_file_that_cannot_be_read_is_named(lake: Lake) -> None:
    settings = Settings().with_(instructions={"test_files": ("gone.json",)})
    with pytest.raises(SourceError, match=r"The test file gone\.json cannot be read"):
        settled(lake, shard(lake, "one", rows_of([("rain", TEXTS["rain"])])), settings=settings)
