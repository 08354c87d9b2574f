"""ToolBench's answer layout: its own files and our solutions there and back, and what is no such file."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ANSWER, World, says, task
from test_search_properties import REPLIES, RESPONSES, RULES
from typer import Typer
from typer.testing import CliRunner
from workshop import Factory, an_api, publish

from toolbench.cli.export_answers import answers as command
from toolbench.errors import SourceError
from toolbench.lake import Lake
from toolbench.records import Api, Instruction, Reject, Reply, Response, Solution
from toolbench.solutions import Rules, SearchResult, Task, preset
from toolbench.solutions.answer_export import export
from toolbench.solutions.answer_files import TABLES, AnswerFile, read_answers, write
from toolbench.solutions.answer_nodes import Broken
from toolbench.solutions.answer_reading import from_answer, parse
from toolbench.solutions.answers import to_answer
from toolbench.solutions.converted import converted

ASKED = Instruction(
    id="i", group="I1", category="Weather", collection="", combination_id="", text="Will it rain?", candidates=[],
    relevant=[], split="train", model="m", prompt_digest="", seed=0, input_tokens=0, output_tokens=0, cost=0.0,
)  # fmt: skip


def solution_of(result: SearchResult, rules: Rules) -> Solution:
    return Solution(
        id="s", instruction_id="i", group="I1", category="Weather", collection="", split="train", method=rules.method,
        outcome=result.outcome, reason=result.reason, final_answer=result.final_answer, steps=result.steps,
        path=result.path, model="m", prompt_digest="p", seed=3, calls=result.replies, input_tokens=result.input_tokens,
        output_tokens=result.output_tokens, cost=result.cost,
    )  # fmt: skip


def through_json(document: dict[str, Any]) -> Any:
    return json.loads(json.dumps(document))


# ToolBench's own files


def files_of(data_dir: Path) -> list[tuple[str, Any]]:
    return [(p.name, json.loads(p.read_text())) for p in sorted((data_dir / "answer").rglob("*.json"))]


def informative(value: Any) -> Any:
    """A document without what says nothing or is not ours to say.

    `Elo` is never used and always one constant (1000, or 0 in later files); `matching_time` is always null; the words
    of the system, the user and the diversity message are prompts, ours or theirs (that they stand there is compared);
    `Finish` is described by whoever searches.
    """
    if isinstance(value, list):
        return [informative(v) for v in value if not (isinstance(v, dict) and v.get("name") == "Finish")] + [
            "Finish" for v in value if isinstance(v, dict) and v.get("name") == "Finish"
        ]
    if isinstance(value, dict):
        prompt = value.get("role") in ("system", "user")
        return {
            k: informative(v)
            for k, v in value.items()
            if k not in ("Elo", "matching_time") and not (prompt and k == "content")
        }
    return value


def test_real_answers_come_back_as_they_were(data_dir: Path) -> None:
    outcomes: Counter[str] = Counter()
    for name, document in files_of(data_dir):
        answer = parse(document)
        functions = {f["name"]: f"api/{f['name']}" for f in answer.functions}
        solution = from_answer(document, ASKED, functions)
        asked = Task(instruction=answer.query, definitions=answer.functions, functions=functions)
        again = to_answer(solution, asked, answer.rules, marked=False)
        assert informative(again) == informative(document), name
        assert from_answer(through_json(again), ASKED, functions) == solution
        assert from_answer(through_json(to_answer(solution, asked, answer.rules)), ASKED, functions) == solution
        assert solution.calls == max(step.turn for step in solution.steps)
        for step in solution.steps:
            assert (step.api_id is None) == (step.function in (None, "Finish") or step.status == 1)
        outcomes[solution.outcome] += 1
    assert outcomes == {"solved": 9, "gave_up": 5, "failed": 1}


def test_real_answers_become_a_shard_and_files_again(data_dir: Path, lake: Lake, tmp_path: Path) -> None:
    found = list(read_answers(data_dir / "answer"))
    names = {f["name"] for _, d in files_of(data_dir) for f in d["answer_generation"]["function"]} - {"Finish"}
    apis = {n: an_api("T", n, function=n, id=f"Weather/t/{n}") for n in names}
    receipts = write(lake, [*found, found[0]], "toolbench", apis.get)
    assert [(r.taken_in, r.passed_on, r.rejected) for r in receipts] == [(16, 15, 1)]
    assert receipts[0].reasons == {"duplicate": 1}
    for receipt in receipts:
        receipt.check("solutions")
    view = publish(lake, receipts, TABLES)
    rows = list(lake.rows(view, Solution))
    assert Counter(s.group for s in rows) == {"I1": 5, "I2": 5, "I3": 5}
    asked = {i.id: i for i in lake.rows(view, Instruction)}
    assert asked.keys() == {s.instruction_id for s in rows}
    assert {e.partition["answers"] for e in view.entries("solutions")} == {"toolbench"}
    assert write(lake, [*found, found[0]], "toolbench", apis.get) == receipts
    assert export(lake, view, tmp_path / "out").left_out == 15, "the APIs are not in the lake"


# Ours


def test_solutions_of_the_factory_come_back_from_files(factory: Factory, lake: Lake, tmp_path: Path) -> None:
    view = factory.solutions.view
    for spec in factory.solutions.specs:
        lake.put_spec(spec)
    for entries in view.tables.values():
        for entry in entries:
            lake.store.write(entry.path, factory.lake.store.read(entry.path))
    out = tmp_path / "out"
    done = export(lake, view, out)
    rows = {s.instruction_id: s for s in lake.rows(view, Solution)}
    assert (sum(done.written.values()), done.left_out) == (len(rows), 0)
    apis = {a.id: a for a in lake.rows(view, Api)}
    asked = {i.id: i for i in lake.rows(view, Instruction)}
    read = {f.name: f.document for f in read_answers(out) if not f.name.startswith("converted/")}
    for name, document in read.items():
        row = rows.pop(Path(name).name.partition("_")[0])
        assert name.endswith("_DFS_woFilter_w2.json")
        functions = {apis[i].function: i for i in asked[row.instruction_id].candidates}
        assert from_answer(document, asked[row.instruction_id], functions) == row
        generation = document["answer_generation"]
        assert generation["query"] == asked[row.instruction_id].text
        # What a reader of ToolBench's files finds, who knows nothing of our keys.
        bare = foreign(document)
        theirs = from_answer(bare, asked[row.instruction_id], functions)
        assert (theirs.outcome, theirs.path, theirs.final_answer) == (row.outcome, row.path, row.final_answer)
        assert theirs.steps == [dataclasses.replace(s, source="none", reasoning=None) for s in row.steps]
        samples = generation.get("train_messages", [])
        assert len(samples) >= len({row.steps[i].turn for i in row.path})
        assert all(s[-1]["role"] == "assistant" for s in samples)
    assert not rows
    lists = {p.stem: json.loads(p.read_text()) for p in (out / "converted").iterdir()}
    assert {name: len(entries) for name, entries in lists.items()} == done.written
    assert not list(out.rglob(".*"))


def foreign(value: Any) -> Any:
    """A document without our keys."""
    if isinstance(value, list):
        return [foreign(v) for v in value]
    if isinstance(value, dict):
        ours = {"solution"} if "win" in value and "forward_args" in value else {"step"} if "node_type" in value else {}
        return {k: foreign(v) for k, v in value.items() if k not in ours}
    return value


@settings(max_examples=60, deadline=None)
@given(st.lists(REPLIES, min_size=1, max_size=20), st.lists(RESPONSES, min_size=1, max_size=4), RULES)
def test_whatever_was_searched_comes_back(replies: list[Reply], responses: list[Response], rules: Rules) -> None:
    rules = dataclasses.replace(rules, text_format=False)
    result = World(replies, lambda number: responses[number % len(responses)]).search(rules)
    solution = solution_of(result, rules)
    document = through_json(to_answer(solution, task(), rules))
    assert from_answer(document, ASKED, task().functions) == solution
    assert parse(document).rules.method == rules.method
    entry = converted(solution, task(), rules)
    assert entry["answer"]["total_steps"] == len(list(nested(entry["answer"]["answer_details"])))


def nested(details: list[dict[str, Any]]) -> Any:
    for turn in details:
        yield turn
        yield from nested(turn["next"])


def test_several_calls_in_a_reply_and_what_asked_for_another_way_are_in_the_messages() -> None:
    two: tuple[tuple[str, Any], ...] = (("rain_for_weather", {}), ("sun_for_weather", {}))
    rules = preset("default", max_depth=4, width=2)
    world = World([says("Both.", *two), says("Again.", two[0]), says(None, ANSWER)])
    solution = solution_of(world.search(rules), rules)
    document = to_answer(solution, task(), rules)
    *_, last = document["answer_generation"]["train_messages"]
    said = [(m["role"], m.get("function_call", {}).get("name"), m.get("valid")) for m in last]
    assert said == [
        ("system", None, None),
        ("user", None, None),
        ("user", None, False),
        ("assistant", "rain_for_weather", None),
        ("function", None, None),
        ("assistant", "Finish", None),
    ]
    assert last[4]["name"] == "rain_for_weather"
    assert document["compare_candidates"][0][-1]["description"] == document["answer_generation"]["final_answer"]


def test_a_converted_answer_tells_of_the_path() -> None:
    world = World([says("Look.", ("rain_for_weather", {"city": "Oslo"})), says(None, ANSWER)])
    entry = converted(solution_of(world.search(Rules()), Rules()), task(), Rules())
    turns = list(nested(entry["answer"]["answer_details"]))
    assert [t["role"] for t in turns] == ["system", "user", "assistant", "tool", "tool"]
    assert turns[3]["message"].startswith("{'name': 'rain_for_weather', 'arguments': ")
    assert entry["answer"]["method"] == "DFS_woFilter_w2"
    assert json.loads(entry["answer"]["final_answer"]) == ANSWER[1]
    assert [f["name"] for f in entry["available_tools"]][-1] == "Finish"


# What is no answer


def document() -> Any:
    world = World([says("Look.", ("rain_for_weather", {})), says(None, ANSWER)])
    return through_json(to_answer(solution_of(world.search(Rules()), Rules()), task(), Rules()))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((), [], "Input should be"),
        (("win",), "yes", "The field win: "),
        (("tree", "tree", "node_type"), "Root", "tree.tree.node_type"),
        (("tree", "tree", "children", 0, "children", 0, "children"), [], "has no input below it"),
        (("tree", "tree", "children", 0, "expand_num"), -1, "expand_num"),
        (("tree", "tree", "children"), 3, "The field tree.tree.children: "),
        (("forward_args", "tree_beam_size"), 0, "tree_beam_size"),
        (("answer_generation", "query_count"), 2**60, "query_count"),
        (("trys",), [], "either `tree` or `trys`"),
        (("solution", "outcome"), "won", "The field solution.outcome"),
        (("solution", "path"), [9], "solution.path is no path"),
        (("tree", "tree", "children", 0, "children", 0, "children", 0, "step", "id"), 2, "1 to their count"),
    ],
)
def test_what_is_wrong_is_named(place: tuple[Any, ...], value: Any, message: str) -> None:
    broken = {"top": document()}
    at: Any = broken
    *way, last = ("top", *place)
    for key in way:
        at = at[key]
    at[last] = value
    with pytest.raises(Broken) as told:
        from_answer(broken["top"], ASKED, {})
    assert message in told.value.args[1]


def test_an_answer_that_its_tree_does_not_hold_is_rejected(lake: Lake, tmp_path: Path) -> None:
    other = foreign(document())
    other["answer_generation"]["final_answer"] = "{}"
    deep: Any = {"node_type": "Thought", "children": []}
    for _ in range(20):
        deep = {"node_type": "Thought", "children": [deep]}
    (tmp_path / "a.json").write_text(json.dumps(other))
    (tmp_path / "b.json").write_text("[" * 100_000)
    (tmp_path / "c.json").write_bytes(b"\xff\xfe{")
    (tmp_path / "d.json").write_text(json.dumps(document() | {"tree": {"tree": deep}}))
    api = an_api("Weather", "rain", function="rain_for_weather")
    (receipt,) = write(lake, read_answers(tmp_path), "x", {"rain_for_weather": api}.get)
    assert (receipt.taken_in, receipt.passed_on, receipt.reasons) == (4, 0, {"malformed": 3, "no_path": 1})
    receipt.check("solutions")
    details = [r.detail for r in lake.read([receipt.tables["rejects"]], Reject)]
    assert details[0] == "a.json: No step of its tree ends with its final answer."
    (receipt,) = write(lake, [AnswerFile("e.json", document())], "y", lambda _: None)
    assert receipt.reasons == {"no_candidates": 1}


def test_a_folder_without_answers_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There are no answers in"):
        next(read_answers(tmp_path))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_field_may_hold_anything(data: st.DataObject) -> None:
    broken = {"top": document()}
    at: Any = broken
    key: Any = "top"
    while isinstance(at[key], dict | list) and at[key] and data.draw(st.integers(0, 6)):
        at = at[key]
        key = data.draw(st.sampled_from(range(len(at)) if isinstance(at, list) else sorted(at)))
    at[key] = data.draw(JSON)
    try:
        found = from_answer(broken["top"], ASKED, {})
    except Broken as told:
        reason, detail = told.args
        assert reason in ("malformed", "no_path")
        assert detail.endswith(".")
    else:
        assert all(step.parent < step.id for step in found.steps)


# The command


def test_the_command_counts_what_it_wrote(factory: Factory, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    for key, _ in factory.lake.store.list(""):
        lake.store.write(key, factory.lake.store.read(key))
    for spec in factory.solutions.specs:
        lake.put_spec(spec)
    app = Typer()
    app.command()(command)
    done = CliRunner().invoke(app, ["--lake", lake.uri, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    total = factory.dataset.view.rows("solutions")
    assert done.output.splitlines()[-1].endswith(f"{total:,} answers in {tmp_path / 'out'}")
    assert len([p for p in (tmp_path / "out").rglob("*.json") if p.parent.name != "converted"]) == total
