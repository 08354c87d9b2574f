"""ToolEval's files: converted answers, pass rates, preferences; nothing is lost on the way."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from answered import a_call, a_vote, an_answer
from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench.cli import tooleval_sources as sources
from toolbench.errors import SourceError
from toolbench.records import Turn
from toolbench.tooleval import converted, results
from toolbench.tooleval.answers import call_turn, calls_of, final_of, matched
from toolbench.tooleval.runs import JudgePin, PassRun, WinRun

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_an_answer_written_and_read_again_is_the_same() -> None:
    row = an_answer(
        turns=[Turn(role="system"), Turn(role="user", message="q"), a_call(status=None)], calls=1, replies=0
    )
    row = replace(row, method="CoT@1", model="imported", input_tokens=0, output_tokens=0, cost=0.0)
    document = converted.write([row])
    (again,), problems = converted.read(json.loads(json.dumps(document)), "G1_tool", "test")
    assert not problems
    finish_added = json.dumps([*json.loads(row.functions), json.loads(again.functions)[-1]])
    assert replace(again, id=row.id) == replace(row, functions=finish_added)
    assert converted.write([again]) == document


def test_the_published_answers_survive_both_layouts(data_dir: Path, tmp_path: Path) -> None:
    rows = sources.from_files(data_dir / "answer", None).rows
    assert len(rows) == 15
    for split in {r.split for r in rows}:
        mine = [r for r in rows if r.split == split]
        (tmp_path / f"{split}.json").write_text(results.dump(converted.write(mine)))
    again = {(r.split, r.query_id): r for r in sources.from_files(tmp_path, None).rows}
    for row in rows:
        other = again[row.split, row.query_id]
        assert converted.entry(other) == converted.entry(row)
        assert (other.finish, other.final_answer.strip()) == (row.finish, row.final_answer.strip())
        assert [c.function for c in calls_of(other)] == [c.function for c in calls_of(row)]


def test_every_query_of_the_test_set_is_read_with_its_relevant_functions(data_dir: Path) -> None:
    found = sources.queries(sorted((data_dir / "test_instruction").glob("*.json")))
    assert len(found) == 552
    assert {q.split for q in found} == {
        "G1_category", "G1_instruction", "G1_tool", "G2_category", "G2_instruction", "G3_instruction"
    }  # fmt: skip
    for query in found:
        assert set(query.relevant) <= {f["name"] for f in json.loads(query.functions)}
    assert sum(bool(q.relevant) for q in found) > 540


@settings(max_examples=40)
@given(JSON)
def test_any_json_is_read_or_refused_in_a_sentence(value: object) -> None:
    for document in (value, {"1": value}, {"1": {"query": "q", "available_tools": [], "answer": value}}):
        if isinstance(document, dict):
            rows, problems = converted.read(document, "s", "test")
            assert len(rows) + len(problems) == len(document)
        else:
            with pytest.raises(SourceError, match=r"test holds no object.*\.$"):
                converted.read(document, "s", "test")


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_any_message_of_a_call_is_kept(text: str) -> None:
    assert converted.message_of(call_turn(text)) == text or not text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"return_type": "give_answer", "final_answer": "It rains."}', ("answer", "It rains.")),
        ('{"return_type": "give_answer", "final_answer": {"a": 1}}', ("answer", '{"a": 1}')),
        ('{"return_type": "give_up_and_restart"}', ("gave_up", "")),
        ('{"return_type": "give_answer", "final_answer": "It ra', ("answer", "It ra")),
        ('{"return_type": "give_up_and_restart", "fin', ("gave_up", "")),
        ("It rains.", ("answer", "It rains.")),
    ],
)
def test_the_arguments_of_finish(arguments: str, expected: tuple[str, str]) -> None:
    assert final_of(arguments) == expected


def test_an_answer_belongs_to_the_query_whose_text_it_answers() -> None:
    queries = [sources.Query("1", "G1_tool", "Rain?"), sources.Query("1", "G2_tool", "Snow?")]
    rows = [an_answer("1", "elsewhere", query="Snow ?".replace(" ?", "?")), an_answer("1", "G1_tool", query="Hail?")]
    found, left = matched(queries, rows)
    assert [(r.split, r.present) for r in found] == [("G1_tool", False), ("G2_tool", True)]
    assert [r.query for r in left] == ["Hail?"]
    found, left = matched(queries, [rows[0], rows[0]])
    assert len(left) == 1, "the second answer to one query is no answer to another"


def a_run(rows: list[object], **fields: object) -> PassRun:
    from test_pass_rate import made

    return made(rows, **fields)  # type: ignore[arg-type]


def test_pass_rates_are_read_as_they_were_written() -> None:
    rows = [an_answer("1"), an_answer("2", present=False, finish="none", final_answer="", turns=[])]
    votes = [a_vote(row, n, "solved" if n and row.present else "unsolved") for row in rows for n in range(2)]
    document = results.pass_results(a_run(rows, votes=votes), rows, votes, "G1_tool")
    assert results.read_pass_results(json.loads(results.dump(document)), "test") == {
        "1": {0: "unsolved", 1: "solved"},
        "2": {0: "unsolved", 1: "unsolved"},
    }
    assert (document["1"]["passed"], document["1"]["failed"]) == (1, 1)
    assert results.read_pass_results({"7": {"is_solved": "AnswerStatus.Unsure"}}, "test") == {"7": {0: "unsure"}}


@pytest.mark.parametrize(
    "value", [[], {"1": 3}, {"1": {"is_solved": {"x": "AnswerStatus.Solved"}}}, {"1": {"is_solved": "yes"}}]
)
def test_what_are_no_pass_rates_is_said(value: object) -> None:
    with pytest.raises(SourceError, match=r"test.*\.$"):
        results.read_pass_results(value, "test")


def test_preferences_are_read_as_they_were_written() -> None:
    from toolbench.tooleval.runs import ComparisonResult, Judging

    judge = JudgePin(model="j", prompts={}, votes=2, temperature=0, schema_version=1)
    queries = [
        ComparisonResult(query_id=str(n), split="G1_tool", points=p, won_by=why, votes=votes)  # type: ignore[arg-type]
        for n, (p, why, votes) in enumerate(
            [(1.0, "solved", []), (0.0, "steps", []), (0.5, "even", []), (0.5, "quality", [1.0, 0.0])]
        )
    ]
    run = WinRun(
        id="i", name="ours", against="theirs", run="a", reference="b", method="m", model="m", judge=judge,
        fingerprint=judge.fingerprint, seed=0, judging=Judging(), splits=[], queries=queries,
    )  # fmt: skip
    document = json.loads(results.dump(results.preference_results(run, "G1_tool")))
    found = results.read_preference_results(document, "theirs", "ours", "test")
    assert found == {"0": 1.0, "1": 0.0, "2": 0.5, "3": 0.5}
    with pytest.raises(SourceError, match="query 0 has no counts for 'theirs' and 'others'"):
        results.read_preference_results(document, "theirs", "others", "test")
