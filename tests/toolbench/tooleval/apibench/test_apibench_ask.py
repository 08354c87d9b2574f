"""Asking a model: journaled, replayed for nothing, with the documents that were wanted; files that are wrong."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from workshop import Mortal, Server, forget, settings_for, written

from toolbench.cli import app
from toolbench.errors import SourceError, TransientError, UsageError
from toolbench.lake import Lake
from toolbench.records import ApiBenchAnswer, Reject
from toolbench.teacher.offline.library import loading
from toolbench.tooleval.apibench import Asking, Bench, ask, by_bm25, figures, load, plan, score, stored

TOPICS = {
    "resnet50": "classify images of animals and plants", "silero_stt": "transcribe speech in audio recordings to text",
    "midas": "estimate depth of a scene from one camera", "tacotron2": "synthesise a spoken voice from written words",
}  # fmt: skip


def document(name: str, topic: str) -> dict[str, Any]:
    call = f"torch.hub.load(repo_or_dir='hub/{name}', model='{name}', pretrained=True)"
    return {"api_call": call, "api_name": name, "domain": topic.split()[0], "description": topic, "api_arguments": []}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small TorchHub set of four APIs and questions."""
    apis = [document(name, topic) for name, topic in TOPICS.items()]
    lines = [
        {"code": f"###Instruction: I want to {a['description']}.\n###Output: {a['api_call']}", "api_data": a, **a}
        for a in apis
    ]
    (tmp_path / "torchhub_eval.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "torchhub_api.jsonl").write_text("".join(json.dumps(a) + "\n" for a in apis))
    return tmp_path


def worked(lake: Lake, askings: list[Asking], settings: Any) -> dict[str, str]:
    receipts = [asyncio.run(ask(lake, asking, settings, lambda: None)) for asking in askings]
    for receipt in receipts:
        receipt.check("apibench_answers")
    entries = [e for receipt in receipts for name, e in receipt.tables.items() if name == "apibench_answers"]
    return {row.question_id: row.text for row in lake.read(entries, ApiBenchAnswer)}


def test_questions_are_read_without_their_answers(folder: Path) -> None:
    bench = load(folder, "torchhub")
    assert [q.text for q in bench.questions] == [f"I want to {topic}." for topic in TOPICS.values()]
    assert [q.id for q in bench.questions] == [f"torchhub/{n}" for n in (1, 2, 3, 4)]
    assert [d.call for d in bench.documents] == [q.reference for q in bench.questions]


@pytest.mark.parametrize(("mode", "right"), [("none", 0), ("oracle", 4), ("bm25", 4)])
def test_the_offline_model_answers_from_the_documents_it_is_shown(
    folder: Path, lake: Lake, honest_teacher: Server, mode: Any, right: int
) -> None:
    bench = load(folder, "torchhub")
    settings = settings_for(lake, honest_teacher.url)
    askings = plan(bench, settings, documents=mode, retrieve=by_bm25(bench.documents))
    answers = worked(lake, askings, settings)
    found = figures(score([bench], answers, bench.questions))[0]
    assert (found.outcomes["match"], found.missing) == (right, [])
    assert found.outcomes["no_call"] == 4 - right


def test_a_rerun_asks_nothing_and_gives_the_same_bytes(folder: Path, lake: Lake, honest_teacher: Server) -> None:
    settings = settings_for(lake, honest_teacher.url)
    askings = plan(load(folder, "torchhub"), settings, documents="oracle")
    worked(lake, askings, settings)
    before, asked = written(lake), honest_teacher.asked()
    forget(lake, *(a.spec for a in askings))
    worked(lake, askings, settings)
    assert (written(lake), honest_teacher.asked()) == (before, asked)


def test_a_shard_that_was_stopped_goes_on_where_it_was(folder: Path, lake: Lake, honest_teacher: Server) -> None:
    dying = Server(Mortal(2))
    settings = settings_for(lake, dying.url, teacher={"base_url": f"{dying.url}/v1", "max_concurrency": 1})
    askings = plan(load(folder, "torchhub"), settings, documents="oracle")
    try:
        with pytest.raises(TransientError):
            worked(lake, askings, settings)
    finally:
        dying.stop()
    asked = honest_teacher.asked()
    assert len(worked(lake, askings, settings_for(lake, honest_teacher.url))) == 4
    assert honest_teacher.asked() - asked == 2


def test_shards_are_named_by_what_a_question_is_shown(folder: Path, lake: Lake) -> None:
    bench = load(folder, "torchhub")
    settings = settings_for(lake, "http://127.0.0.1:9", work={"shard_size": 2})
    names = {
        mode: [a.spec.digest for a in plan(bench, settings, documents=mode, retrieve=by_bm25(bench.documents))]
        for mode in ("none", "bm25", "oracle")
    }
    other = [a.spec.digest for a in plan(bench, settings, documents="bm25", retrieve=lambda _, k: [0][:k])]
    assert [len(found) for found in (*names.values(), other)] == [2, 2, 2, 2]
    assert len({digest for found in (*names.values(), other) for digest in found}) == 8
    assert [a.spec.records for a in plan(bench, settings, documents="none", limit=3)] == [
        ["torchhub/1", "torchhub/2"], ["torchhub/3"]
    ]  # fmt: skip
    with pytest.raises(ValueError, match="need a function"):
        plan(bench, settings, documents="retriever")


def test_a_question_without_a_reply_is_a_reject_and_a_miss(
    folder: Path, lake: Lake, start_teacher: Callable[..., Server]
) -> None:
    bench = load(folder, "torchhub")
    settings = settings_for(lake, start_teacher(refusal_rate=1.0).url)
    asking = plan(bench, settings, documents="oracle")[0]
    receipt = asyncio.run(ask(lake, asking, settings, lambda: None))
    receipt.check("apibench_answers")
    assert receipt.reasons == {"no_reply": 4}
    assert "counts as a miss" in next(iter(lake.read([receipt.tables["rejects"]], Reject))).detail
    found = figures(score([bench], {}, bench.questions))[0]
    assert (found.ast.mean, found.outcomes["no_call"], len(found.missing)) == (0, 4, 4)


def test_stored_answers_are_scored_by_the_command(folder: Path) -> None:
    bench = load(folder, "torchhub")
    answers = [{"question_id": n, "text": q.reference} for n, q in enumerate(bench.questions[:3], 1)]
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in answers))
    arguments = ["tooleval", "apibench", "--data", str(folder), "--set", "torchhub", "--answers", str(path)]
    run = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    found = json.loads(run.stdout)
    assert found["sets"][0]["outcomes"] == {"match": 3, "other": 0, "hallucination": 0, "no_call": 1}
    assert found["sets"][0]["missing"] == ["torchhub/4"]
    table = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert "75.0%" in table
    assert "unanswered, counted as misses: torchhub/4" in table


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"text": "x"}', "no `id` such as"),
        ('{"id": "torchhub/1", "text": 3}', "has to be a text"),
        ('{"id": "torchhub/1"}\n{"id": "torchhub/1"}', "line 2.*answered before"),
        ('{"id": "torchhub/99", "text": "x"}', "answers none of the questions"),
        ("x", "line 1: this is not JSON"),
        ("3", "line 1: this is not a JSON object"),
    ],
)
def test_answers_that_cannot_be_read(folder: Path, text: str, complaint: str) -> None:
    path = folder / "answers.jsonl"
    path.write_text(text)
    with pytest.raises(SourceError, match=complaint):
        stored(path, load(folder, "torchhub").questions)


def test_files_that_cannot_be_read(folder: Path) -> None:
    with pytest.raises(UsageError, match="no set 'bard'"):
        load(folder, "bard")
    with pytest.raises(SourceError, match=r"huggingface_eval\.jsonl cannot be read"):
        load(folder, "huggingface")
    shutil.copy(folder / "torchhub_api.jsonl", folder / "tensorflow_api.jsonl")
    for line, complaint in (
        ({"code": "x", "api_call": "f()", "api_data": {}}, "does not begin with"),
        ({"code": "###Instruction: x", "api_call": "f()"}, "`api_data` has to be"),
        ({"code": "###Instruction: x", "api_data": {"api_call": "f()"}}, "`api_call` has to be"),
        ({"code": 3}, "`code` has to be"),
    ):
        (folder / "tensorflow_eval.jsonl").write_text(json.dumps(line))
        with pytest.raises(SourceError, match=complaint):
            load(folder, "tensorflowhub")
    with pytest.raises(UsageError, match="documents by 'x'"):
        CliRunner().invoke(
            app, ["tooleval", "apibench", "--data", str(folder), "--documents", "x"], catch_exceptions=False
        )


def test_bm25_finds_the_document_of_a_question(data_dir: Path) -> None:
    bench: Bench = load(data_dir / "apibench", "torchhub")
    retrieve = by_bm25(bench.documents)
    assert [retrieve(d.text, 1)[0] for d in bench.documents[:20]] == list(range(20))
    assert retrieve("", 3) == []


def test_the_offline_model_knows_only_documents() -> None:
    assert "(" not in loading({"question": "q", "documents": []})
    assert "(" not in loading({"question": "q", "documents": [3, {"api_call": 4}]})
