"""ToolBench's answer files as a report."""

import json
import shutil
from pathlib import Path

import pytest
from test_report_scripts import calls

from toolbench.errors import SourceError
from toolbench.lake import Lake
from toolbench.records import Api, Conversation, Instruction, Reject, Solution
from toolbench.report import answers, build
from toolbench.report.answers import answers_into


def test_every_answer_has_its_tree_its_functions_and_its_training_sample(
    lake: Lake, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "AT_ONCE", 4)
    shutil.copytree(data_dir / "answer", tmp_path / "answer")
    (tmp_path / "answer" / "broken.json").write_text("{")
    (tmp_path / "answer" / "list.json").write_text("[1]")
    documents = [json.loads(p.read_bytes()) for p in sorted((data_dir / "answer").rglob("*.json"))]
    assert answers_into(lake, tmp_path / "answer") == (len(documents), 2)
    view = lake.snapshot()
    solutions = {s.id: s for s in lake.rows(view, Solution)}
    asked = {i.id: i for i in lake.rows(view, Instruction)}
    assert sorted(i.text for i in asked.values()) == sorted(d["answer_generation"]["query"] for d in documents)
    offered = {f["name"] for d in documents for f in d["answer_generation"]["function"]} - {"Finish"}
    assert {api.function for api in lake.rows(view, Api)} == offered
    valid = sum(d["answer_generation"]["valid_data"] for d in documents)
    told = list(lake.rows(view, Conversation))
    assert len(told) == valid
    for conversation in told:
        solution = solutions[conversation.solution_id]
        assert conversation.instruction_id == solution.instruction_id
        assert asked[solution.instruction_id].text in [m.content for m in conversation.messages if m.role == "user"]
    assert {r.reason for r in lake.rows(view, Reject)} == {"malformed"}
    page = build(lake, tmp_path / "out", answers="answer")
    assert "toolbench, answer" in page.read_text()
    lines = [call for path in (tmp_path / "out").glob("data/trees/*.js") for call in calls(path.read_text())]
    for kind, count in (("tree", len(documents)), ("instruction", len(documents)), ("sample", valid)):
        assert len({key for k, key, _ in lines if k == kind}) == count


def test_a_folder_without_answers_is_an_error(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There are no answers"):
        answers_into(lake, tmp_path)


@pytest.mark.parametrize(
    "function", [None, 5, [1, {"name": 5}, {"name": "Finish"}], [{"name": "a_for_b", "parameters": 1}]]
)
def test_functions_that_are_none_offer_nothing(lake: Lake, tmp_path: Path, function: object) -> None:
    document = {"win": False, "answer_generation": {"valid_data": False, "query": "q", "function": function}}
    (tmp_path / "x.json").write_text(json.dumps(document))
    assert answers_into(lake, tmp_path) == (0, 1)
