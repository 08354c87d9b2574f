import dataclasses
import json
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from toolbench.errors import ConflictError, LakeError, UsageError
from toolbench.lake import Draft, Lake, Receipt, Spec, known_table
from toolbench.records import Conversation, FunctionCall, Message, Reject, RetrievalPair


def spec(category: str, content: str = "1") -> Spec:
    return Spec(
        stage="pairs",
        label=f"pairs {category}",
        partition={"category": category},
        records=["a"],
        content=content,
        params={},
    )


def pair(n: int, category: str, query: str = "where?") -> RetrievalPair:
    return RetrievalPair(
        id=f"{category}-{n}", query_id=f"q{n}", query=query, api_id="a", document="d", group="I1", category=category,
        collection="", split="train", model="m",
    )  # fmt: skip


def finish(lake: Lake, category: str, content: str = "1", rows: int = 2) -> Receipt:
    what = spec(category, content)
    lake.put_spec(what)
    pairs = [pair(n, category, f"{content}?") for n in range(rows)]
    return lake.finish(what, {RetrievalPair: pairs}, taken_in=rows, passed_on=rows)


def draft(*receipts: Receipt) -> Draft:
    made = Draft()
    made.add(list(receipts), ("retrieval_pairs",))
    return made


def conversation() -> Conversation:
    call = FunctionCall(id="c1", name="weather", arguments='{"city": "Ürümqi"}')
    return Conversation(
        id="c", instruction_id="i", solution_id="s", group="I2", category="Weather", collection="", split="train",
        tools="[]", model="m",
        messages=[
            Message(role="user", content="How warm is it?"),
            Message(role="assistant", tool_calls=[call], train=True),
            Message(role="tool", content="12", tool_call_id="c1"),
        ],
    )  # fmt: skip


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    lakes = [Lake(str(tmp_path / name)) for name in ("one", "two")]
    receipts = [finish(lake, "Weather") for lake in lakes]
    assert receipts[0] == receipts[1]
    for path in (receipts[0].tables["retrieval_pairs"].path, f"receipts/{receipts[0].spec}.json"):
        assert lakes[0].store.read(path) == lakes[1].store.read(path)
    again = finish(lakes[0], "Weather")
    assert again == receipts[1]


def test_of_two_workers_at_one_shard_the_first_receipt_stays_and_no_published_byte_changes(lake: Lake) -> None:
    what = spec("Weather")
    first = lake.finish(what, {RetrievalPair: [pair(1, "Weather", "warm?")]}, taken_in=1, passed_on=1)
    published = lake.publish(draft(first), "test")
    # The world answered the other worker differently.
    second = lake.finish(what, {RetrievalPair: [pair(1, "Weather", "cold?")]}, taken_in=1, passed_on=1)
    assert second == first == lake.receipt(what.digest)
    assert [p.query for p in lake.rows(published, RetrievalPair)] == ["warm?"]
    assert [key for key, _ in lake.garbage(1) if key.startswith("tables/")], "the loser's file is garbage"


def test_a_shard_is_named_by_what_decides_its_content_alone() -> None:
    base = spec("Weather")
    assert base.digest == base.model_copy(update={"label": "another"}).digest
    for change in ({"content": "2"}, {"records": ["b"]}, {"params": {"seed": 1}}, {"stage": "x"}, {"partition": {}}):
        assert Spec(**{**base.model_dump(), **change}).digest != base.digest


def test_a_specification_put_again_says_where_its_inputs_lie_now(lake: Lake) -> None:
    entry = finish(lake, "Weather").tables["retrieval_pairs"]
    moved = spec("Music").model_copy(update={"inputs": {"retrieval_pairs": [entry]}})
    assert lake.put_spec(spec("Music")) == lake.put_spec(moved)
    assert lake.spec(lake.put_spec(moved)).inputs == {"retrieval_pairs": [entry]}


def test_rows_come_back(lake: Lake) -> None:
    lake.publish(draft(finish(lake, "Weather"), finish(lake, "Music")), "test")
    rows = list(lake.rows(lake.snapshot(), RetrievalPair))
    assert sorted(r.id for r in rows) == ["Music-0", "Music-1", "Weather-0", "Weather-1"]
    assert pair(1, "Music", "1?") in rows


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_file_is_named(lake: Lake, damage: str) -> None:
    entry = finish(lake, "Weather").tables["retrieval_pairs"]
    path = Path(lake.store.path(entry.path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flip" else data[:-1])
    with pytest.raises(LakeError, match=str(path)):
        list(lake.read([entry], RetrievalPair))


def test_a_table_of_a_newer_toolbench_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(RetrievalPair, "VERSION", 2)
        entry = finish(lake, "Weather").tables["retrieval_pairs"]
    with pytest.raises(LakeError, match=r"version 2.*upgrade toolbench"):
        list(lake.read([entry], RetrievalPair))


def test_a_manifest_of_a_newer_toolbench_is_refused(lake: Lake) -> None:
    lake.store.write("manifests/000000000001.json", b'{"format": 2, "anything": "else"}')
    with pytest.raises(LakeError, match=r"000000000001\.json was written by a newer toolbench .*upgrade"):
        lake.snapshot()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "2"}', '{"tables": 3}', '{"surplus": 1}', "\udcff"])
def test_damaged_json_is_named(lake: Lake, text: str) -> None:
    for key, read in (
        ("manifests/000000000001.json", lake.snapshot),
        ("receipts/abc.json", lambda: lake.receipt("abc")),
        ("lake.json", lambda: lake.id),
    ):
        lake.store.write(key, text.encode("utf-8", "surrogateescape"))
        with pytest.raises(LakeError, match=f"{lake.store.url(key)} is damaged"):
            read()


def test_an_empty_lake_has_the_empty_snapshot(lake: Lake) -> None:
    assert lake.snapshot().number == 0
    assert list(lake.rows(lake.snapshot(), RetrievalPair)) == []
    with pytest.raises(LakeError, match="There is no snapshot 3"):
        lake.snapshot(3)


def test_what_is_not_published_is_not_seen(lake: Lake) -> None:
    lake.publish(draft(finish(lake, "Weather")), "test")
    finish(lake, "Music")
    assert {r.category for r in lake.rows(lake.snapshot(), RetrievalPair)} == {"Weather"}


def test_a_change_that_changes_nothing_publishes_nothing(lake: Lake) -> None:
    change = draft(finish(lake, "Weather"))
    first = lake.publish(change, "test")
    assert lake.publish(change, "test") == first
    assert lake.publish(lake.draft(lake.put_draft(change)), "another flow") == first
    assert lake.numbers() == [1]


def test_publishing_what_is_missing_fails_and_leaves_the_snapshot(lake: Lake) -> None:
    before = lake.publish(draft(finish(lake, "Weather")), "test")
    receipt = finish(lake, "Music")
    lake.store.delete([receipt.tables["retrieval_pairs"].path])
    with pytest.raises(LakeError, match="is missing or has another size"):
        lake.publish(draft(receipt), "test")
    assert lake.snapshot() == before


def _publish_own(uri: str, n: int) -> int:
    lake = Lake(uri)
    return lake.publish(draft(finish(lake, f"c{n}")), f"writer {n}").number


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_writers_of_different_partitions_lose_nothing(kind: str, lake: Lake) -> None:
    pool = ProcessPoolExecutor(8, get_context("spawn")) if kind == "processes" else ThreadPoolExecutor(8)
    with pool:
        numbers = list(pool.map(_publish_own, [lake.uri] * 8, range(8)))
    assert sorted(numbers) == lake.numbers() == list(range(1, 9))
    assert {r.category for r in lake.rows(lake.snapshot(), RetrievalPair)} == {f"c{n}" for n in range(8)}
    for number in lake.numbers():
        assert len(lake.snapshot(number).entries("retrieval_pairs")) == number


def _publish_same(uri: str, n: int) -> str:
    lake = Lake(uri)
    receipts = []
    for part in range(3):
        what = spec("Weather", f"{n}").model_copy(update={"records": [str(part)]})
        rows = [pair(part, "Weather", f"writer {n}")]
        receipts.append(lake.finish(what, {RetrievalPair: rows}, taken_in=1, passed_on=1))
    return f"writer {n}" if lake.publish(draft(*receipts), f"writer {n}") else ""


def test_of_writers_of_one_partition_the_last_one_wins_as_a_whole(lake: Lake) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_publish_same, [lake.uri] * 8, range(8)))
    assert lake.numbers() == list(range(1, 9))
    for number in lake.numbers():
        snapshot = lake.snapshot(number)
        assert [r.query for r in lake.rows(snapshot, RetrievalPair)] == [snapshot.flow] * 3


def test_always_too_late_is_a_conflict(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    change = draft(finish(lake, "Weather"))
    monkeypatch.setattr(lake.store, "create", lambda *_: False)
    with pytest.raises(ConflictError, match="run the same command again"):
        lake.publish(change, "test")


def _spec_files(lake: Lake) -> set[str]:
    return {key for key, _ in lake.store.list("") if key != "lake.json"}


def test_some_columns_of_a_table_are_those_of_the_whole(lake: Lake) -> None:
    entry = finish(lake, "Weather").tables["retrieval_pairs"]
    some = lake.table(entry, RetrievalPair, ["query", "id", "no such column"])
    assert some.column_names == ["id", "query"]
    assert some.equals(lake.table(entry, RetrievalPair).select(["id", "query"]))


def test_when_files_were_written(lake: Lake) -> None:
    began = time.time()
    lake.store.write("specs/x/a.json", b"1")
    (found,) = lake.store.look("specs")
    assert found.key == "specs/x/a.json"
    assert began - 2 < found.modified < time.time() + 2
    assert lake.store.look("nothing") == []


def test_garbage_is_what_no_kept_snapshot_needs(lake: Lake) -> None:
    old, kept = finish(lake, "Weather", "1"), finish(lake, "Music")
    for receipt in (old, kept):
        lake.store.write(f"journals/{receipt.spec}/w-000001.parquet", b"answers")
    change = draft(old, kept)
    lake.put_draft(change)
    lake.publish(change, "test")
    new = finish(lake, "Weather", "2")
    last = lake.publish(draft(new), "test")
    first_id, rows = lake.id, list(lake.rows(last, RetrievalPair))
    needed = {"manifests/000000000002.json", f"journals/{kept.spec}/w-000001.parquet"}
    for receipt in (kept, new):
        needed |= {f"specs/pairs/{receipt.spec}.json", f"receipts/{receipt.spec}.json"}
        needed.add(receipt.tables["retrieval_pairs"].path)
    planned = lake.garbage(1)
    assert {key for key, _ in planned} == _spec_files(lake) - needed
    assert lake.collect_garbage(1) == planned
    assert _spec_files(lake) == needed
    assert lake.snapshot() == last
    assert list(lake.rows(last, RetrievalPair)) == rows
    assert lake.id != first_id  # what Prefect has cached refers to files that are gone
    assert lake.receipt(old.spec) is None
    after = lake.publish(draft(finish(lake, "Weather", "1")), "again")
    assert after.number == 3
    assert {r.query for r in lake.rows(after, RetrievalPair) if r.category == "Weather"} == {"1?"}


def test_garbage_of_two_kept_snapshots(lake: Lake) -> None:
    for content in "123":
        number = lake.publish(draft(finish(lake, "Weather", content)), "test").number
        lake.store.write(f"reports/{number}/index.html", b"pages")
        lake.store.write(f"reports/{number}/data/trees/0000.js", b"data")
    lake.collect_garbage(2)
    assert {key.split("/")[1] for key, _ in lake.store.list("reports")} == {"2", "3"}
    assert lake.numbers() == [2, 3]
    assert [r.query for r in lake.rows(lake.snapshot(2), RetrievalPair)] == ["2?", "2?"]


@pytest.mark.parametrize("keep", [0, -1])
def test_the_current_snapshot_is_never_garbage(lake: Lake, keep: int) -> None:
    lake.publish(draft(finish(lake, "Weather")), "test")
    before = lake.store.list("")
    with pytest.raises(UsageError, match="At least one snapshot"):
        lake.collect_garbage(keep)
    assert lake.store.list("") == before


def test_a_model_is_copied_in_and_out(lake: Lake, tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / "deep").mkdir(parents=True)
    (source / "config.json").write_text("{}")
    (source / "deep" / "weights.bin").write_bytes(bytes(range(256)))
    entry = lake.put_model("retriever", "0123", source, {"ndcg": 0.5})
    assert lake.publish(Draft(models={"retriever": entry}), "test").number == 1
    assert lake.publish(Draft(models={"retriever": entry}), "test").number == 1
    out = lake.get_model(lake.snapshot().models["retriever"], tmp_path / "out")
    files = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert files == {"config.json": b"{}", "deep/weights.bin": bytes(range(256))}
    assert "models/retriever/0123/config.json" not in {key for key, _ in lake.garbage(1)}
    lake.store.write("models/retriever/0123/deep/weights.bin", b"other")
    with pytest.raises(LakeError, match=r"deep/weights\.bin does not match its checksum"):
        lake.get_model(entry, tmp_path / "out2")


def test_the_lakes_id_stays(lake: Lake) -> None:
    assert lake.id == Lake(lake.uri).id
    assert json.loads(lake.store.read("lake.json")) == {"format": 1, "id": lake.id}


def test_readers_without_our_code_read_the_same(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    what = spec("Weather")
    lake.publish(_conversations(lake.finish(what, {Conversation: [conversation()]}, taken_in=1, passed_on=1)), "test")
    manifest = json.loads(Path(lake.store.path("manifests/000000000001.json")).read_text())
    files = [f"{lake.uri}/{entry['path']}" for entry in manifest["tables"]["conversations"]]
    ours = [dataclasses.asdict(row) for row in lake.rows(lake.snapshot(), Conversation)]
    assert ours == [dataclasses.asdict(conversation())]

    frame = pd.read_parquet(files)
    assert frame.loc[0, "id"] == "c"
    assert [list(m["tool_calls"]) for m in frame.loc[0, "messages"]] == [m["tool_calls"] for m in ours[0]["messages"]]

    found = duckdb.sql(f"SELECT * FROM read_parquet({files!r})").to_arrow_table().to_pylist()  # noqa: S608
    assert found == ours

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs the train extra")
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "hf"))
    assert list(loaded) == ours
    assert pq.read_table(files[0]).num_rows == 1


def _conversations(receipt: Receipt) -> Draft:
    made = Draft()
    made.add([receipt], ("conversations",))
    return made


def test_rejects_of_two_stages_do_not_replace_each_other(lake: Lake) -> None:
    for stage in ("one", "two"):
        what = spec("Weather").model_copy(update={"stage": stage})
        reject = Reject(id=stage, stage=stage, record_id="r", reason="too_short", detail="d", category="Weather")
        receipt = lake.finish(what, {Reject: [reject]}, taken_in=1, passed_on=0)
        assert receipt.reasons == {"too_short": 1}
        lake.publish(draft(receipt), stage)
    assert [r.id for r in lake.rows(lake.snapshot(), Reject)] in (["one", "two"], ["two", "one"])


def test_unknown_tables_are_named() -> None:
    assert known_table("retrieval_pairs") is RetrievalPair
    with pytest.raises(UsageError, match="'apps'; choose one of tools, apis"):
        known_table("apps")


def test_half_a_surrogate_pair_is_written_as_a_question_mark(lake: Lake) -> None:
    """A model can spell it in JSON, as `\\ud83d`; UTF-8, and so Parquet, cannot."""
    what = Spec(stage="s", label="", partition={}, records=[], content="", params={})
    reject = Reject(id="r", stage="s", record_id="r", reason="too_short", detail="rain \ud83d é")
    receipt = lake.finish(what, {Reject: [reject]}, taken_in=1, passed_on=0)
    assert [r.detail for r in lake.read([receipt.tables["rejects"]], Reject)] == ["rain ? é"]
