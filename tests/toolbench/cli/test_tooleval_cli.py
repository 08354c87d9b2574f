"""`toolbench tooleval pass` and `win` as a user meets them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result
from workshop import Factory, Server

from toolbench.cli import tooleval
from toolbench.errors import SourceError, UsageError
from toolbench.tooleval.runs import PassRun, load

root = typer.Typer()
root.add_typer(tooleval.app, name="tooleval")


def run(*words: str) -> Result:
    return CliRunner().invoke(root, ["tooleval", *words])


@pytest.fixture
def place(factory: Factory, tmp_path: Path, honest_teacher: Server, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Words that name a copy of the factory's lake and its judge."""
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{honest_teacher.url}/v1")
    return ["--lake", "lake", "--votes", "1", "--seed", "7"]


def test_the_lakes_answers_are_judged_and_files_of_them_give_the_same(place: list[str], tmp_path: Path) -> None:
    done = run("pass", *place, "--name", "mine", "--out", "mine.json", "--export", "out")
    assert done.exit_code == 0, done.output
    ours = load(tmp_path / "mine.json")
    assert isinstance(ours, PassRun)
    assert ours.splits[-1].pass_rate.percent() in done.output
    assert f"fingerprint {ours.fingerprint}" in done.output
    assert "relevant APIs called" in done.output
    said = json.loads(run("pass", *place, "--name", "mine", "--json").stdout)
    assert said == json.loads((tmp_path / "mine.json").read_text())
    done = run("pass", *place, "--answers", "out/converted", "--name", "files", "--out", "files.json")
    assert "the answered queries are the denominator" in done.output
    again = load(tmp_path / "files.json")
    assert isinstance(again, PassRun)
    answers = {(q.split, q.query_id): q.status for q in again.queries}
    assert answers == {(q.split, q.query_id): q.status for q in ours.queries if q.answered}
    done = run("win", *place, "--name", "mine", "--against", "files", "--json", "--export", "out/win")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["name"], found["against"], found["splits"][-1]["losses"]) == ("mine", "files", 0)
    assert len(list((tmp_path / "out" / "win").iterdir())) == len(found["splits"]) - 1


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["pass", "--answers", "nowhere"], SourceError, "The answers nowhere are not there"),
        (["pass", "--instructions", "nowhere.json"], SourceError, "The instructions nowhere.json cannot be read"),
        (["pass", "--split", "G9_tool"], UsageError, "There is no split 'G9_tool' in lake lake; there are: G1_"),
        (["pass", "--counting", "maybe"], UsageError, "Setting judge.counting"),
        (["win", "--against", "nobody"], UsageError, "There is no reference 'nobody'.*it has none"),
        (["win", "--against", "snapshot:1"], UsageError, "has no solutions"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    place: list[str], words: list[str], kind: type[Exception], message: str
) -> None:
    done = run(*words, *place)
    assert type(done.exception) is kind
    assert done.exception.args[0].endswith((".", "settings."))
    with pytest.raises(kind, match=message):
        raise done.exception


def test_tooleval_s_own_results_are_counted_by_our_rules(tmp_path: Path) -> None:
    solved, unsure, unsolved = (f"AnswerStatus.{name}" for name in ("Solved", "Unsure", "Unsolved"))
    votes = {"1": {"0": solved, "1": solved}, "2": {"0": unsure, "1": unsolved}, "3": {}}
    passes = tmp_path / "G1_tool.json"
    passes.write_text(json.dumps({i: {"query": "q", "is_solved": v} for i, v in votes.items()}))
    other = tmp_path / "G2_category.json"
    other.write_text(json.dumps({"9": {"query": "q", "is_solved": solved}}))
    found = json.loads(run("results", str(passes), str(other), "--json").stdout)
    assert (found["G1_tool"]["queries"], found["G1_tool"]["rate"]) == (3, pytest.approx((1 + 0.25 + 0) / 3))
    assert (found["all"]["queries"], found["all"]["rate"]) == (4, pytest.approx(2.25 / 4))
    hopeless = tmp_path / "G3.json"
    entry = {"query": "q", "task_solvable": "TaskStatus.Unsolvable", "is_solved": {"0": unsolved}}
    hopeless.write_text(json.dumps({"1": entry, "2": {**entry, "task_solvable": "TaskStatus.Solvable"}}))
    assert json.loads(run("results", str(hopeless), "--json").stdout)["G3"]["rate"] == 0.5, "as `pass` decides"
    strict = json.loads(run("results", str(passes), "--unsure", "0", "--json").stdout)
    assert strict["G1_tool"]["rate"] == pytest.approx(1 / 3)
    wins = tmp_path / "preferences.json"
    wins.write_text(json.dumps({str(n): {"chatgpt": int(n < 1), "mine": int(n > 0)} for n in range(10)}))
    names = ("--reference", "chatgpt", "--output", "mine")
    found = json.loads(run("results", str(wins), *names, "--json").stdout)
    assert found["preferences"]["rate"] == pytest.approx(0.9)
    assert found["preferences"]["p_value"] == pytest.approx(22 / 1024)
    assert "90.0%" in run("results", str(wins), *names).stdout


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("{}", (), "has no query"),
        ("[1]", (), "is no file of pass-rate results"),
        ("{", (), "is no JSON"),
        ('{"1": {"is_solved": "maybe"}}', (), "is_solved of query 1 is none of"),
        ('{"1": {"a": 1}}', ("--reference", "a", "--output", "b"), "query 1 has no counts for 'a' and 'b'"),
        ("{}", ("--reference", "a"), "give --reference and --output"),
    ],
)
def test_results_that_are_none_are_refused(tmp_path: Path, text: str, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "results.json").write_text(text)
    done = run("results", str(tmp_path / "results.json"), *words)
    assert isinstance(done.exception, UsageError | SourceError)
    assert said in str(done.exception)
