"""Asking with no APIs given: a retriever from the lake, a search over real HTTP, nothing written."""

import asyncio
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agent_lake import APIS, laid
from click.testing import Result
from typer.testing import CliRunner
from workshop import Factory, Server, settings_for, written

from toolbench.agent import Asked, Event, Retrieved, ask, retrieve
from toolbench.cli import app
from toolbench.dialogue import FINISH
from toolbench.documents import document
from toolbench.errors import LakeError, SourceError, TeacherError, ToolbenchError, UsageError
from toolbench.lake import Draft, Lake, Snapshot, Spec
from toolbench.records import Api, ResponseKeys, Step, Verdict
from toolbench.retriever import MODEL, Encoder, train_in_lake
from toolbench.settings import Settings

QUESTION = "Tell me the element with the symbol Au."


@pytest.fixture(scope="module")
def trained(factory: Factory, tiny_base: str, tmp_path_factory: pytest.TempPathFactory) -> Factory:
    """The factory's lake, copied, with a retriever trained in it."""
    folder = tmp_path_factory.mktemp("agent") / "lake"
    shutil.copytree(factory.lake.uri, folder)
    lake = Lake(str(folder))
    settings = factory.settings.with_(retriever={"base": tiny_base, "max_tokens": 64})
    entry = train_in_lake(lake, lake.snapshot(), settings)
    lake.publish(Draft(models={MODEL: entry}), "test")
    return dataclasses.replace(factory, lake=lake, settings=settings)


def asked(lake: Lake, settings: Settings, question: str = QUESTION, top: int = 5) -> tuple[Asked, list[Event]]:
    told: list[Event] = []
    return asyncio.run(ask(lake, lake.snapshot(), question, settings, top=top, tell=told.append)), told


def number_of_apis(lake: Lake) -> int:
    return lake.snapshot().rows("apis")


def test_an_instruction_of_the_hub_is_answered_and_nothing_is_written(trained: Factory) -> None:
    # The tiny encoder knows a few words only, so that every API is offered: what matters is found among them.
    before = written(trained.lake), trained.lake.numbers()
    found, told = asked(trained.lake, trained.settings, top=number_of_apis(trained.lake))
    assert (found.outcome, found.reason) == ("solved", "")
    assert "196.97" in found.answer
    assert [e for e in told if isinstance(e, Retrieved)] == found.retrieved == told[: len(found.retrieved)]
    made = [found.steps[i] for i in found.path if found.steps[i].api_id]
    assert [(s.api_id, s.source, s.status) for s in made] == [
        ("Science/chemical_elements/element_by_symbol", "live", 0)
    ]
    assert found.steps[found.path[-1]].function == FINISH
    assert (written(trained.lake), trained.lake.numbers()) == before


def test_long_responses_are_shown_by_the_keys_that_the_lake_has(
    lake: Lake, tiny_base: str, tmp_path: Path, honest_teacher: Server
) -> None:
    example = json.dumps({"rain": {"millimetres": 3}, "legal": "all rights are reserved " * 50})
    apis = [dataclasses.replace(api, response_example=example) for api in APIS]
    laid(lake, tiny_base, tmp_path / "model", apis)
    rows = [
        ResponseKeys(
            id=api.id, category=api.category, keys=["rain.millimetres"], examples=1, model="m", prompt_digest="",
            seed=0, input_tokens=0, output_tokens=0, cost=0.0,
        )
        for api in apis
    ]  # fmt: skip
    spec = Spec(stage="compression", label="", partition={"category": "Weather"}, records=[], content="", params={})
    draft = Draft()
    draft.add([lake.finish(spec, {ResponseKeys: rows}, taken_in=len(rows), passed_on=len(rows))], ("response_keys",))
    lake.publish(draft, "test")
    settings = settings_for(lake, honest_teacher.url, compression={"max_tokens": 100})
    found, _ = asked(lake, settings, "How much rain will Oslo have?")
    shown = [json.loads(step.observation or "") for step in found.steps if step.api_id and step.status == 0]
    assert shown
    assert all(list(one["response"]) == ["rain"] for one in shown)


def test_the_same_question_is_answered_in_the_same_way(trained: Factory) -> None:
    first, second = (asked(trained.lake, trained.settings, top=8)[0] for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("faults", "status"),
    [({}, 3), ({"hallucination_rate": 1.0}, 1), ({"refusal_rate": 1.0}, -1)],
    ids=["answered", "invented function", "teacher failed"],
)
def test_every_step_is_told_a_call_before_its_observation(
    trained: Factory, start_teacher: Callable[..., Server], faults: dict[str, float], status: int
) -> None:
    settings = trained.settings.with_(
        teacher={"base_url": f"{start_teacher(**faults).url}/v1"}, search={"max_calls": 6}
    )
    found, told = asked(trained.lake, settings, top=number_of_apis(trained.lake))
    assert status in {step.status for step in found.steps}
    steps = [event for event in told if isinstance(event, Step)]
    for step in found.steps[1:]:
        observations = [s.observation for s in steps if s.id == step.id]
        assert observations == ([None, step.observation] if step.function else [None])
    last = {step.id: dataclasses.replace(step, pruned=False) for step in steps}  # pruning comes later
    assert list(last.values()) == [dataclasses.replace(step, pruned=False) for step in found.steps[1:]]


def test_the_best_apis_come_first_with_their_cosines(trained: Factory) -> None:
    snapshot = trained.lake.snapshot()
    question = "please find the weather of a city"
    apis = list(trained.lake.rows(snapshot, Api))
    encoder = Encoder.load(trained.lake.store.url(snapshot.models[MODEL].path))
    cosines = encoder.encode([document(a) for a in apis]) @ encoder.encode([question])[0]
    expected = [(apis[i].id, cosines[i]) for i in sorted(range(len(apis)), key=lambda i: (-cosines[i], apis[i].id))]
    found = retrieve(trained.lake, snapshot, question, 7)
    assert len(found) == 7
    assert [f.score for f in found] == pytest.approx([score for _, score in expected[:7]], abs=1e-5)
    assert found[0].api.id == expected[0][0]
    assert all(f.api in apis for f in found)
    assert len(retrieve(trained.lake, snapshot, question, 10_000)) == len(apis)


def test_of_two_apis_with_one_function_name_the_better_is_offered(
    lake: Lake, tiny_base: str, tmp_path: Path, honest_teacher: Server
) -> None:
    apis = [dataclasses.replace(api, function="same", definition=APIS[0].definition) for api in APIS[:2]] + APIS[2:]
    snapshot = laid(lake, tiny_base, tmp_path / "model", apis)
    for question in ("rain rain", "weather weather", "lyrics of the song"):
        encoder = Encoder.load(tiny_base)
        scores = encoder.encode([document(a) for a in apis]) @ encoder.encode([question])[0]
        cosines = dict(zip([a.id for a in apis], scores, strict=True))
        worse = min(apis[:2], key=lambda a: cosines[a.id])
        expected = sorted((a.id for a in apis if a != worse), key=lambda i: -cosines[i])
        assert [f.api.id for f in retrieve(lake, snapshot, question, 3)] == expected
        assert [f.api.id for f in retrieve(lake, snapshot, question, 4)] == expected, "a place is not given twice"
    found, _ = asked(lake, settings_for(lake, honest_teacher.url), "How much rain will Oslo have?", top=3)
    assert len({f.api.function for f in found.retrieved}) == 3


def test_an_api_that_the_catalogue_lost_gives_its_place_to_the_next(lake: Lake, tiny_base: str, tmp_path: Path) -> None:
    snapshot = laid(lake, tiny_base, tmp_path / "model", APIS[:2], gone=tuple(APIS[2:]))
    for question in ("lyrics", "income tax"):
        found = retrieve(lake, snapshot, question, 2)
        assert {f.api.id for f in found} == {a.id for a in APIS[:2]}
        assert np.diff([f.score for f in found])[0] <= 0


def test_an_api_that_screening_retired_is_not_proposed(lake: Lake, tiny_base: str, tmp_path: Path) -> None:
    laid(lake, tiny_base, tmp_path / "model", APIS)
    verdicts = [
        Verdict(
            id=api.id, tool_id=api.tool_id, category=api.category, verdict="dead", reason="gone", evidence="[]",
            calls=1, night="2026-01-01", failed_nights=n + 1, retired=n == 3,
        )
        for n, api in enumerate(APIS)
    ]  # fmt: skip
    spec = Spec(stage="screening", label="", partition={"category": "Weather"}, records=[], content="", params={})
    draft = Draft()
    draft.add([lake.finish(spec, {Verdict: verdicts}, taken_in=4, passed_on=4)], ("verdicts",))
    found = retrieve(lake, lake.publish(draft, "test"), "income tax", 10)
    assert {f.api.id for f in found} == {a.id for a in APIS[:3]}


def test_what_cannot_be_asked_is_one_sentence(trained: Factory, lake: Lake, tiny_base: str, tmp_path: Path) -> None:
    settings = trained.settings
    gone = settings.with_(catalogue={"responses": str(tmp_path / "gone")})
    unreachable = settings.with_(teacher={"base_url": "http://127.0.0.1:9/v1"})
    without = trained.lake.snapshot(1)
    lost = laid(lake, tiny_base, tmp_path / "model", APIS[:1]).model_copy(update={"tables": {}})
    published = trained.lake.snapshot()
    cases: list[tuple[Lake, Snapshot, str, Settings, int, type[ToolbenchError], str]] = [
        (trained.lake, published, " \n", settings, 5, UsageError, "The question is empty"),
        (trained.lake, published, QUESTION, settings, 0, UsageError, "ask for at least 1"),
        (trained.lake, without, QUESTION, settings, 5, LakeError, "has no retriever: run `toolbench refresh`"),
        (lake, lost, QUESTION, settings, 5, LakeError, "knows no API of snapshot 1"),
        (trained.lake, published, QUESTION, gone, 5, SourceError, "gone"),
        (trained.lake, published, QUESTION, unreachable, 5, TeacherError, "cannot be reached"),
    ]
    for of, snapshot, question, wanted, top, kind, words in cases:
        with pytest.raises(kind) as raised:
            asyncio.run(ask(of, snapshot, question, wanted, top=top, tell=lambda _: None))
        assert words in str(raised.value)
        assert "\n" not in str(raised.value)


def command(monkeypatch: pytest.MonkeyPatch, hub: str, folder: Path, *arguments: Any) -> Result:
    """`toolbench agent ask …` in this process, the hub at `hub`."""
    monkeypatch.chdir(folder)
    for name, value in {"APIS__HOSTS": f'{{"hub.toolbench.test": "{hub}"}}', "TEACHER__MAX_RETRIES": "0"}.items():
        monkeypatch.setenv(f"TOOLBENCH_{name}", value)
    return CliRunner().invoke(app, ["agent", "ask", *map(str, arguments)])


def test_the_command_prints_apis_calls_and_the_answer(
    trained: Factory, hub_server: Server, honest_teacher: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    top = number_of_apis(trained.lake)
    flags = ("--lake", trained.lake.uri, "--top", top, "--base-url", f"{honest_teacher.url}/v1")
    done = command(monkeypatch, hub_server.url, tmp_path, QUESTION, *flags)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    scores = [float(line.split()[0]) for line in lines[:top]]
    assert scores == sorted(scores, reverse=True)
    assert lines[top] == ""
    call = next(n for n, line in enumerate(lines) if line.startswith("→ element_by_symbol"))
    assert lines[call + 1].startswith("← live 0: ")
    assert "196.97" in lines[-1]


def test_the_command_can_choose_how_to_search(
    trained: Factory,
    hub_server: Server,
    start_teacher: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TOOLBENCH_SEARCH__MAX_DEPTH", "2")
    asked_by = {}
    for method in ("react", "dfsdt"):
        silent = start_teacher(refusal_rate=1.0)
        flags = ("--lake", trained.lake.uri, "--base-url", f"{silent.url}/v1", "--method", method)
        assert isinstance(command(monkeypatch, hub_server.url, tmp_path, QUESTION, *flags).exception, ToolbenchError)
        asked_by[method] = silent.asked()
    assert asked_by == {"react": 1, "dfsdt": 2}, "only a tree is searched on"


def test_the_command_without_an_answer_is_1_in_one_sentence(
    trained: Factory,
    hub_server: Server,
    start_teacher: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    refusing = start_teacher(refusal_rate=1.0)
    flags = ("--lake", trained.lake.uri, "--base-url", f"{refusing.url}/v1")
    done = command(monkeypatch, hub_server.url, tmp_path, QUESTION, *flags)
    assert isinstance(done.exception, ToolbenchError)
    assert done.exception.exit_code == 1
    assert str(done.exception).startswith("No answer was found (the teacher failed: ")
    assert "\n" not in str(done.exception)
    empty = command(monkeypatch, hub_server.url, tmp_path, QUESTION, "--lake", tmp_path / "empty")
    assert isinstance(empty.exception, LakeError)
    assert "Nothing was published" in str(empty.exception)
    assert not (tmp_path / "empty").exists()
