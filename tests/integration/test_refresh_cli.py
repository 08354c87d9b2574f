"""`toolbench refresh` as a user runs it: real processes, counted at the teacher."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from toolbench.lake import Lake
from toolbench.records import RECORDS, Api, Conversation, Instruction, Solution

INSTRUCTIONS = 30
UNUSED = {"verdicts", "response_keys", "answered", "votes", "evaluations", "apibench_answers"}
"""Tables of what a refresh does not do unless it is asked to."""
CONCURRENCY = 4
WORKERS = 2


@dataclass
class Teacher:
    """An offline teacher in a process of its own."""

    url: str

    def stats(self) -> dict[str, int]:
        found: dict[str, int] = httpx.get(f"{self.url}/stats").json()
        return found

    def reset(self) -> None:
        httpx.post(f"{self.url}/reset")


def _teacher(*flags: str) -> Iterator[Teacher]:
    command = [sys.executable, "-m", "toolbench", "teacher", "--port", "0", "--until-eof", *flags]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdin
    yield Teacher(f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}")
    process.stdin.close()
    process.wait(10)


@pytest.fixture(scope="module")
def teacher() -> Iterator[Teacher]:
    yield from _teacher()


@pytest.fixture(scope="module")
def slow_teacher() -> Iterator[Teacher]:
    yield from _teacher("--latency-ms", "150")


def _environment(home: Path, teacher: Teacher | None, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOOLBENCH_", "OPENAI_", "PREFECT_"))}
    kept["PREFECT_HOME"] = str(home)
    if teacher:
        kept["OPENAI_BASE_URL"] = f"{teacher.url}/v1"
    return kept | more


def _command(lake: Path, *flags: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "toolbench",
        "refresh",
        "--lake",
        str(lake),
        "--instructions",
        str(INSTRUCTIONS),
        *flags,
    ]


def _run(lake: Path, environment: dict[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    # A working directory without a toolbench.toml.
    return subprocess.run(
        _command(lake, *flags), env=environment, cwd=lake.parent, capture_output=True, text=True, timeout=400
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prefect")


@dataclass
class First:
    """The first refresh of a lake, undisturbed."""

    lake: Path
    result: subprocess.CompletedProcess[str]
    requests: int


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, home: Path, teacher: Teacher) -> First:
    lake = tmp_path_factory.mktemp("first") / "lake"
    teacher.reset()
    result = _run(lake, _environment(home, teacher))
    return First(lake, result, teacher.stats()["chat"])


def _shards(lake: Path) -> dict[str, bytes]:
    """Every published file but those of `runs`, which carry clock times."""
    snapshot = Lake(str(lake)).snapshot()
    entries = [e for name, found in snapshot.tables.items() if name != "runs" for e in found]
    return {e.path: (lake / e.path).read_bytes() for e in entries}


def test_one_command_fills_every_table_trains_and_reports(first: First) -> None:
    assert first.result.returncode == 0, first.result.stderr
    lake = Lake(str(first.lake))
    snapshot = lake.snapshot()
    assert {name for name in RECORDS if snapshot.rows(name)} == set(RECORDS) - UNUSED
    metrics = snapshot.models["retriever"].metrics
    assert 0 <= metrics["before"]["all"]["ndcg@5"]["mean"] <= 1
    assert 0 <= metrics["after"]["all"]["ndcg@5"]["mean"] <= 1
    assert (first.lake / "report" / "index.html").is_file()
    for stage in ("catalogue", "instructions", "solutions", "judgments", "dataset", "retriever"):
        assert re.search(rf"^{stage} +[\d,]+ +[\d,]+ +[\d,]+", first.result.stdout, re.MULTILINE), first.result.stdout
    assert "Traceback" not in first.result.stderr
    assert all(s.model == "offline-teacher" for s in lake.rows(snapshot, Solution))


def test_no_held_out_api_reaches_a_training_conversation(first: First) -> None:
    lake = Lake(str(first.lake))
    snapshot = lake.snapshot()
    splits = {a.id: a.split for a in lake.rows(snapshot, Api)}
    offered = {i.id: {splits[a] for a in i.candidates} for i in lake.rows(snapshot, Instruction)}
    trained = [c for c in lake.rows(snapshot, Conversation) if c.split == "train"]
    assert trained
    assert all(offered[c.instruction_id] == {"train"} for c in trained)
    assert {"tool", "category"} <= set(splits.values())


def test_a_second_run_changes_nothing_and_asks_nobody(first: First, home: Path, teacher: Teacher) -> None:
    before = Lake(str(first.lake)).snapshot()
    teacher.reset()
    result = _run(first.lake, _environment(home, teacher))
    assert result.returncode == 0, result.stderr
    assert f"Nothing changed since snapshot {before.number}" in result.stdout
    assert teacher.stats()["chat"] == 0
    assert Lake(str(first.lake)).snapshot() == before


def test_the_same_inputs_give_the_same_bytes_whatever_the_concurrency(
    first: First, home: Path, teacher: Teacher, tiny_base: str, tmp_path: Path
) -> None:
    one_by_one = {
        "TOOLBENCH_TEACHER__MAX_CONCURRENCY": "1",
        "TOOLBENCH_WORK__WORKERS": "1",
        "TOOLBENCH_RETRIEVER__BASE": tiny_base,
        "TOOLBENCH_RETRIEVER__MAX_TOKENS": "64",
    }
    lake = tmp_path / "lake"
    result = _run(lake, _environment(home, teacher, **one_by_one))
    assert result.returncode == 0, result.stderr
    assert _shards(lake) == _shards(first.lake)


def test_killed_in_mid_annotation_it_resumes_and_pays_for_nothing_twice(
    first: First, home: Path, slow_teacher: Teacher, tiny_base: str, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    limits = {
        "TOOLBENCH_TEACHER__MAX_CONCURRENCY": str(CONCURRENCY),
        "TOOLBENCH_WORK__WORKERS": str(WORKERS),
        "TOOLBENCH_RETRIEVER__BASE": tiny_base,
        "TOOLBENCH_RETRIEVER__MAX_TOKENS": "64",
    }
    environment = _environment(home, slow_teacher, **limits)
    slow_teacher.reset()
    process = subprocess.Popen(
        _command(lake), env=environment, cwd=tmp_path, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    # Kill it once half of all requests were made: generation is over then, annotation is not.
    counts: list[tuple[float, int]] = []
    deadline = time.monotonic() + 120
    while not counts or counts[-1][1] < first.requests // 2:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "the teacher was not asked"
        counts.append((time.monotonic(), slow_teacher.stats()["chat"]))
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    killed_at = time.monotonic()
    time.sleep(0.5)  # what was in flight still arrives at the teacher
    at_kill = slow_teacher.stats()["chat"]
    assert 0 < at_kill < first.requests
    assert not Lake(str(lake)).numbers(), "nothing may be published by a run that was killed"

    result = _run(lake, environment)
    assert result.returncode == 0, result.stderr
    total = slow_teacher.stats()["chat"]
    flushed = max(count for when, count in counts if when <= killed_at - 1.0)
    assert total - first.requests <= at_kill - flushed + CONCURRENCY * WORKERS
    assert total - first.requests < first.requests // 4
    assert _shards(lake) == _shards(first.lake)


def test_ctrl_c_ends_it_soon_and_says_that_the_work_is_kept(home: Path, slow_teacher: Teacher, tmp_path: Path) -> None:
    slow_teacher.reset()
    process = subprocess.Popen(
        _command(tmp_path / "lake"), env=_environment(home, slow_teacher), cwd=tmp_path, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while slow_teacher.stats()["chat"] < 20:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < deadline, "the teacher was not asked"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "toolbench: stopped; the same command goes on from here." in said
    assert "Traceback" not in said
    assert list((tmp_path / "lake" / "journals").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("flags", "variables", "code", "sentence"),
    [
        (("--catalogue", "nowhere.tar.gz"), {}, 2, "nowhere.tar.gz does not exist"),
        (("--categories", "Finanse"), {}, 2, "Finanse"),
        (("--groups", "I9"), {}, 2, "instructions.groups"),
        (("--instructions", "0"), {}, 2, "--instructions"),
        ((), {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, 1, "http://127.0.0.1:9/v1 cannot be reached"),
        ((), {"TOOLBENCH_LAKE": "ftp://x/y"}, 2, "ftp"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_sentence(
    flags: tuple[str, ...], variables: dict[str, str], code: int, sentence: str, home: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "toolbench", "refresh", *flags]
    environment = _environment(home, None, **{"TOOLBENCH_LAKE": str(tmp_path / "lake"), **variables})
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stderr
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "lake" / "manifests").exists()
