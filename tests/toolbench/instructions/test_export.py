"""ToolBench's files from the lake: `native` reads them, with the same texts, candidates and relevant APIs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workshop import Factory, an_api, publish

from toolbench import catalogue
from toolbench.errors import ToolbenchError, UsageError
from toolbench.instructions import TABLES, native
from toolbench.instructions.export import TESTS, TRAINING, export, query_ids
from toolbench.instructions.native_documents import document, template
from toolbench.lake import Lake, Snapshot, Spec
from toolbench.records import Api, Instruction, Parameter

SKY, SEA = an_api("Sky", "Forecast"), an_api("Sea", "Tide")


def instruction(name: str, **fields: Any) -> Instruction:
    defaults: dict[str, Any] = {
        "id": name, "group": "I2", "category": "Weather", "collection": "", "combination_id": "c", "text": f"{name}?",
        "candidates": [SKY.id, SEA.id], "relevant": [SKY.id], "split": "train", "model": "m", "prompt_digest": "p",
        "seed": 1, "input_tokens": 1, "output_tokens": 1, "cost": 0.0,
    }  # fmt: skip
    return Instruction(**{**defaults, **fields})


def holding(lake: Lake, *rows: Instruction, apis: tuple[Api, ...] = (SKY, SEA)) -> Snapshot:
    spec = Spec(stage="t", label="t", partition={"group": "I2"}, records=[], content=str((rows, apis)), params={})
    receipt = lake.finish(spec, {Instruction: rows, Api: apis}, taken_in=len(rows), passed_on=len(rows))
    return publish(lake, [receipt], ("instructions", "apis"))


def written(folder: Path, name: str) -> list[dict[str, Any]]:
    return native.read(str(folder / f"{name}.json"))


def test_what_is_exported_is_imported_as_it_was(factory: Factory, tmp_path: Path) -> None:
    lake, view = factory.lake, factory.instructions.view
    ours = {i.text: i for i in lake.rows(view, Instruction)}
    done = export(lake, view, tmp_path / "out")
    assert (done.left_out, done.namesakes) == (0, 0)
    assert sum(done.written.values()) == len(ours)
    for group in ("I1", "I2", "I3"):
        assert done.written[f"G{group[1]}_query.json"] == sum(
            i.group == group and i.split == "train" for i in ours.values()
        )
    assert done.written["G1_category.json"]
    known = {a.id for a in lake.rows(view, Api)}
    back = Lake(str(tmp_path / "lake"))
    receipts = []
    for name in (n for n, count in done.written.items() if count):
        entries = written(tmp_path / "out", Path(name).stem)
        found = catalogue.apis_of_instructions(entries)
        assert not found.rejects
        assert {a.id for a in found.apis} <= known, "an API has another id after the way through the file"
        label = Path(name).stem
        receipts.append(native.write(back, entries, label, catalogue.Lookup(found.apis).find, {"instructions": label}))
    rows = list(back.rows(publish(back, receipts, TABLES), Instruction))
    assert len(rows) == len(ours)
    for row in rows:
        mine = ours[row.text]
        assert (row.group, row.candidates) == (mine.group, mine.candidates)
        assert set(row.relevant) == set(mine.relevant)


def test_real_files_come_back_as_they_are(data_dir: Path, tmp_path: Path) -> None:
    paths = sorted((data_dir / "test_instruction").glob("G*.json"))
    if not paths:
        pytest.skip(f"no test instructions of ToolBench's in {data_dir}")
    lake = Lake(str(tmp_path / "lake"))
    theirs: dict[str, dict[str, Any]] = {}
    receipts = []
    for path in paths[:2]:
        entries = native.read(str(path), 40)
        theirs |= {e["query"]: e for e in entries}
        found = catalogue.apis_of_instructions(entries)
        where = {"instructions": path.stem}
        receipts += catalogue.write(lake, found, where)[0]
        receipts.append(native.write(lake, entries, path.stem, catalogue.Lookup(found.apis).find, where))
    done = export(lake, publish(lake, receipts, TABLES + catalogue.TABLES), tmp_path / "out")
    assert done.left_out == 0
    ours = {e["query"]: e for path in paths[:2] for e in written(tmp_path / "out", path.stem)}
    assert set(ours) == set(theirs)
    for query, entry in ours.items():
        before = theirs[query]
        assert list(entry) == list(before)
        assert named(entry["api_list"]) == named(before["api_list"])
        assert {tuple(r) for r in entry["relevant APIs"]} == {tuple(r) for r in before["relevant APIs"]}
        shapes = dict(zip(named(before["api_list"]), before["api_list"], strict=True))
        for name, ours_ in zip(named(entry["api_list"]), entry["api_list"], strict=True):
            assert [k for k in shapes[name] if k in ours_] == list(ours_)
            if "template_response" in ours_:
                assert ours_["template_response"] == shapes[name]["template_response"]


def named(documents: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(d["category_name"], d["tool_name"], d["api_name"]) for d in documents]


def test_files_have_toolbench_s_names_and_an_odd_split_gets_one_of_the_kind(lake: Lake, tmp_path: Path) -> None:
    view = holding(lake, instruction("a"), instruction("b", split="category"), instruction("c", split="tool"))
    done = export(lake, view, tmp_path)
    assert set(done.written) == {f"{n}.json" for n in (*TRAINING, *TESTS, "G2_tool")}
    assert {n: c for n, c in done.written.items() if c} == {
        "G2_query.json": 1,
        "G2_category.json": 1,
        "G2_tool.json": 1,
    }
    assert written(tmp_path, "G1_query") == []
    assert {p.name for p in tmp_path.glob("G*")} == set(done.written)
    (entry,) = written(tmp_path, "G2_query")
    assert list(entry) == ["api_list", "query", "relevant APIs", "query_id"]
    assert entry["relevant APIs"] == [["Sky", "Forecast"]]


@pytest.mark.parametrize(
    ("split", "files"), [("train", set(TRAINING)), ("category", {"G1_category", "G2_category"}), ("tool", {"G1_tool"})]
)
def test_one_split_alone_writes_its_files_alone(lake: Lake, tmp_path: Path, split: Any, files: set[str]) -> None:
    rows = [instruction(s, split=s, group="I1") for s in ("train", "instruction", "tool", "category")]
    done = export(lake, holding(lake, *rows), tmp_path / "deep" / "out", split)
    assert {Path(n).stem for n in done.written} == files
    assert sum(done.written.values()) == 1
    assert {p.stem for p in (tmp_path / "deep" / "out").iterdir()} == files


def test_an_api_document_has_toolbench_s_types_and_no_credentials() -> None:
    kinds = {"string": "x", "integer": 5, "number": 2.5, "boolean": True, "array": ["a"], "object": {"k": 1}}
    parameters = [
        Parameter(name=k, shown_as=k, type=k, required=k != "object", default=json.dumps(v)) for k, v in kinds.items()
    ]
    parameters += [
        Parameter(name="key", shown_as="key", type="string", required=True, secret=True),
        Parameter(name="", shown_as="body", type="object", required=False),
    ]
    found = document(replace(SKY, parameters=parameters, response_example='{"rain": 3}'))
    assert list(found) == [
        "category_name", "tool_name", "api_name", "api_description", "required_parameters", "optional_parameters",
        "method", "template_response",
    ]  # fmt: skip
    required = {p["name"]: (p["type"], p["default"]) for p in found["required_parameters"]}
    assert required == {
        "string": ("STRING", "x"), "integer": ("NUMBER", 5), "number": ("NUMBER", 2.5), "boolean": ("BOOLEAN", True),
        "array": ("ARRAY", '["a"]'),
    }  # fmt: skip
    assert [(p["name"], p["type"], p["default"]) for p in found["optional_parameters"]] == [
        ("object", "OBJECT", '{"k": 1}'), ("body", "OBJECT", ""),
    ]  # fmt: skip
    assert found["template_response"] == {"rain": "int"}
    assert "template_response" not in document(replace(SKY, response_example="no JSON"))
    long = document(replace(SKY, response_example=json.dumps({f"key {n}": n for n in range(200)})))
    assert isinstance(long["template_response"], str)
    assert len(long["template_response"]) == 1000


def test_a_template_shows_types_first_items_and_lengths() -> None:
    response = {"rows": [{"id": 1, "tags": ["a", "b"]}] * 3, "none": None, "empty": [], "deep": {"ok": True, "x": 1.5}}
    assert template(response) == {
        "rows": [{"id": "int", "tags": ["list of str with length 2"], "_list_length": 3}], "none": "NoneType",
        "empty": "empty list", "deep": {"ok": "bool", "x": "float"},
    }  # fmt: skip


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(_JSON)
def test_a_template_of_a_template_is_itself(value: Any) -> None:
    once = template(value)
    assert template(once) == once
    json.dumps(once)


@pytest.mark.parametrize("inner", [{"a": 1}, [1], [{"a": 1}], []])
def test_a_deep_template_ends(inner: Any) -> None:
    value = inner
    for level in range(30):
        value = {"a": value} if level % 2 else [value]
    once = template(value)
    assert template(once) == once
    assert len(json.dumps(once)) < 400


def test_numbers_stay_when_others_come_and_never_meet() -> None:
    first = query_ids(["00000000000a1111", "i7"])
    assert first["00000000000a1111"] == 10
    more = query_ids(["i7", "00000000000a2222", "00000000000a1111", *(f"x{n}" for n in range(500))])
    assert first.items() <= more.items()
    assert len(set(more.values())) == len(more)
    assert all(0 <= n < 2**48 for n in more.values())


def test_what_needs_an_api_that_is_gone_is_left_out_and_counted(lake: Lake, tmp_path: Path) -> None:
    view = holding(lake, instruction("a"), instruction("b", relevant=[SEA.id]), apis=(SKY,))
    done = export(lake, view, tmp_path)
    assert done.left_out == 1
    (entry,) = written(tmp_path, "G2_query")
    assert (entry["query"], [d["tool_name"] for d in entry["api_list"]]) == ("a?", ["Sky"])


def test_apis_of_one_name_are_counted(lake: Lake, tmp_path: Path) -> None:
    twin = replace(SKY, id=SEA.id)
    assert export(lake, holding(lake, instruction("a"), apis=(SKY, twin)), tmp_path).namesakes == 1


def test_files_are_replaced_whole_or_not_at_all(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = holding(lake, instruction("a"))
    export(lake, view, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("G*")}

    def full(*_: Any, **__: Any) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr("toolbench.instructions.export.json.dumps", full)
    with pytest.raises(ToolbenchError, match=r"cannot be written to .*No space left.*name another --out"):
        export(lake, view, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before
    monkeypatch.undo()
    export(lake, holding(lake, instruction("a"), instruction("b")), tmp_path)
    assert len(written(tmp_path, "G2_query")) == 2


def test_the_same_snapshot_gives_the_same_bytes(factory: Factory, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(factory.lake, factory.instructions.view, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_strange_text_is_written_as_json(lake: Lake, tmp_path: Path) -> None:
    odd = replace(SKY, parameters=[replace(SKY.parameters[0], default='"\\ud800"')], description='"\u2028\x00é')
    view = holding(lake, instruction("a", text='Süß "quoted"\n\u2028?'), apis=(odd, SEA))
    export(lake, view, tmp_path)
    (entry,) = written(tmp_path, "G2_query")
    assert entry["query"] == 'Süß "quoted"\n\u2028?'
    assert entry["api_list"][0]["api_description"] == '"\u2028\x00é'


def test_nothing_to_export_and_nowhere_to_write_are_said(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no instructions: run `toolbench instruct` first"):
        export(lake, Snapshot(), tmp_path / "out")
    view = holding(lake, instruction("a"))
    with pytest.raises(UsageError, match="no instructions of split 'tool'"):
        export(lake, view, tmp_path / "out", "tool")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolbenchError, match="cannot be written"):
        export(lake, view, tmp_path / "file")
