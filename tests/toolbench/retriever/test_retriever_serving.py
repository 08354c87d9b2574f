"""Which model serves, its index, and the commands that use them, in a small lake."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from retriever_lake import apis, pairs, published, verdict
from typer.testing import CliRunner, Result
from workshop import a_tool

from toolbench.cli import app
from toolbench.documents import document
from toolbench.encoder import Encoder
from toolbench.errors import LakeError, SourceError, ToolbenchError, UsageError
from toolbench.instructions.native_documents import document as native
from toolbench.lake import Draft, Lake, ModelEntry, Snapshot
from toolbench.retriever import (
    INDEX,
    MODEL,
    NEWEST,
    Index,
    RetrieverConfig,
    choose,
    corpus_of,
    index_in_lake,
    train,
    train_in_lake,
)
from toolbench.retriever.layout import read
from toolbench.settings import Settings

APIS = apis()
RAIN, MOON, TAX, SONG = (api.id for api in APIS)
TRAINING, TESTS = pairs(APIS, "train", ""), pairs(APIS, "instruction", " for a city")


@pytest.fixture(scope="module")
def models(tiny_base: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a trained model and of an untrained one."""
    good, bad = tmp_path_factory.mktemp("good"), tmp_path_factory.mktemp("bad")
    corpus = {api.id: document(api) for api in APIS}
    config = RetrieverConfig(base=tiny_base, epochs=6, batch_size=4, learning_rate=1e-2, max_tokens=32)
    train(TRAINING, corpus, config, good)
    encoder = Encoder.load(tiny_base, 32)
    encoder.save(bad)
    Index(list(corpus), encoder.encode(list(corpus.values()))).save(bad / "index")
    return good, bad


@pytest.fixture
def settings(lake: Lake, tiny_base: str) -> Settings:
    return Settings(lake=lake.uri, retriever={"base": tiny_base, "max_tokens": 32})


@pytest.fixture
def view(lake: Lake) -> Snapshot:
    found = [verdict(APIS[0], "working"), verdict(APIS[1], "dead"), verdict(APIS[2], "unknown", retired=True)]
    return published(lake, APIS, [*TRAINING, *TESTS, *found])


def entry(lake: Lake, folder: Path, spec: str) -> ModelEntry:
    return lake.put_model(MODEL, spec, folder, {"train_pairs": 1})


def test_a_better_model_replaces_the_one_that_serves_and_a_worse_one_does_not(
    lake: Lake, view: Snapshot, settings: Settings, models: tuple[Path, Path]
) -> None:
    good, bad = entry(lake, models[0], "good"), entry(lake, models[1], "bad")
    kept = choose(lake, view.model_copy(update={"models": {MODEL: good}}), bad, settings)
    assert (kept.decision.promoted, kept.models[MODEL], kept.models[NEWEST].spec) == (False, good, "bad")
    assert kept.models[INDEX].metrics["model"] == "good"
    assert kept.decision.gain is not None
    assert kept.decision.gain.high < 0
    assert (
        kept.models[NEWEST]
        .metrics["decision"]["sentence"]
        .startswith("good goes on serving: bad is worse than good beyond")
    )
    assert set(kept.measured) == {"bm25", "zero-shot", "trained", "hybrid", "previous"}
    means = {name: summary["all"]["ndcg@5"]["mean"] for name, summary in kept.measured.items()}
    assert means["previous"] > means["trained"] == means["zero-shot"]
    replaced = choose(lake, view.model_copy(update={"models": {MODEL: bad}}), good, settings)
    assert (replaced.decision.promoted, replaced.models[MODEL]) == (True, good)
    assert replaced.measured["trained"] == kept.measured["previous"], "the same model, queries and APIs"
    json.dumps(replaced.models[NEWEST].model_dump())


def test_the_first_model_serves_and_so_does_one_without_held_out_queries(
    lake: Lake, settings: Settings, models: tuple[Path, Path]
) -> None:
    view = published(lake, APIS, TRAINING)
    newest = entry(lake, models[1], "bad")
    first = choose(lake, view, newest, settings)
    assert (first.decision.promoted, first.measured, first.models[MODEL]) == (True, {}, newest)
    previous = entry(lake, models[0], "good")
    assert choose(lake, view.model_copy(update={"models": {MODEL: previous}}), newest, settings).models[MODEL] == newest


def test_an_index_encodes_only_what_changed(
    lake: Lake, models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_texts: list[str] = []
    encode: Callable[..., Any] = Encoder.encode
    monkeypatch.setattr(Encoder, "encode", lambda self, t, p=None: read_texts.extend(t) or encode(self, t, p))
    many = [dataclasses.replace(APIS[0], id=f"Weather/rain/{n}", description=f"{n}") for n in range(100)]
    model = entry(lake, models[1], "bad")
    first = index_in_lake(lake, published(lake, many), model)
    assert (first.encoded, first.reused, len(read_texts)) == (100, 0, 100)
    many[7] = dataclasses.replace(many[7], description="changed")
    view = published(lake, many)
    second = index_in_lake(lake, view, model)
    assert (second.encoded, second.reused, read_texts[100:]) == (1, 99, [document(many[7])])
    third = index_in_lake(lake, view, model)
    assert (third.encoded, third.entry, len(read_texts)) == (0, second.entry, 101)


def test_what_training_encoded_is_kept_only_for_the_corpus_it_was_trained_over(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(APIS[3], description="in other words")
    encode: Callable[..., Any] = Encoder.encode
    times = {}
    for name, tonight in {"same": APIS, "changed": [*APIS[:3], other]}.items():
        lake = Lake(str(tmp_path / name))
        newest = train_in_lake(lake, published(lake, APIS, [*TRAINING, *TESTS]), settings)
        read_texts: list[str] = []
        monkeypatch.setattr(
            Encoder, "encode", lambda self, t, p=None, seen=read_texts: seen.extend(t) or encode(self, t, p)
        )
        choose(lake, published(lake, tonight, [*TRAINING, *TESTS]), newest, settings)
        monkeypatch.setattr(Encoder, "encode", encode)
        times[name] = [read_texts.count(document(api)) for api in tonight]
    # The base, untrained, has read none of them before.
    assert times == {"same": [1, 1, 1, 1], "changed": [2, 2, 2, 2]}


@pytest.fixture
def serving(lake: Lake, view: Snapshot, models: tuple[Path, Path]) -> Lake:
    """The lake with the trained model serving, not indexed yet."""
    lake.publish(Draft(models={MODEL: entry(lake, models[0], "good")}), "test")
    return lake


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["retriever", *words])


def found(*words: str) -> list[str]:
    done = run("search", *words, "--json")
    assert done.exit_code == 0, done.output
    return [row["api_id"] for row in json.loads(done.stdout)]


def test_search_finds_filters_and_says_scores(serving: Lake) -> None:
    at = ("--lake", serving.uri)
    assert found("find the moon", *at, "--model", "bm25")[0] == MOON
    assert found("please find moon", *at, "--top", "1") == [MOON], "the model's own index serves until there is another"
    done = run("index", *at)
    assert done.exit_code == 0, done.output
    assert "4 APIs: encoded 4, reused 0" in done.output
    assert "encoded 0, reused 4" in run("index", *at).output
    for model in ("serving", "bm25", "hybrid"):
        assert found("please find moon", *at, "--model", model)[0] == MOON
    assert set(found("moon", *at, "--category", "weather", "--category", "Music")) == {RAIN, SONG}
    assert found("moon", *at, "--tool", "Lyrics") == found("moon", *at, "--tool", "Music/lyrics") == [SONG]
    assert set(found("moon", *at, "--working")) == {RAIN, SONG}, "dead and retired ones are left out"
    shown = run("search", "find the moon", *at, "--top", "1").output
    score = json.loads(run("search", "find the moon", *at, "--top", "1", "--json").stdout)[0]["score"]
    assert shown.startswith(f"{score:8.4f}  {MOON}\n")


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (("search", " "), UsageError, "The query is empty"),
        (("search", "x", "--category", "Sports"), UsageError, "no category 'Sports'; it has Astronomy, Finance"),
        (("search", "x", "--tool", "Nothing"), UsageError, "no tool 'Nothing'"),
        (("search", "x", "--model", "nowhere"), UsageError, "There is no model 'nowhere': give serving, bm25"),
        (("eval", "--queries", "nowhere"), UsageError, "The queries nowhere are not there"),
        (("eval", "--model", "nowhere"), UsageError, "There is no model 'nowhere'"),
        (("eval", "--corpus", "elsewhere"), UsageError, "give --queries"),
        (("eval", "--tools", "elsewhere"), UsageError, "With --tools the queries' own APIs are searched"),
        (("eval", "--plot", "x.gif"), UsageError, "neither .svg nor .png"),
        (("train", "--preset", "ours"), UsageError, "give --out"),
        (("train", "--pairs", "nowhere", "--out", "x"), UsageError, "The pairs nowhere are not there"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    serving: Lake, words: tuple[str, ...], kind: type[Exception], message: str
) -> None:
    done = run(*words, "--lake", serving.uri)
    assert isinstance(done.exception, kind), done.output
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_lake_without_a_model_says_so(lake: Lake, view: Snapshot) -> None:
    for words in (("search", "x"), ("index",), ("eval", "--model", "hybrid")):
        done = run(*words, "--lake", lake.uri)
        assert isinstance(done.exception, LakeError), done.output
        assert "has no retriever" in str(done.exception)


def test_an_index_that_lost_a_file_is_named(serving: Lake) -> None:
    run("index", "--lake", serving.uri)
    shutil.rmtree(Path(serving.uri) / serving.snapshot().models[INDEX].path)
    done = run("search", "x", "--lake", serving.uri)
    assert isinstance(done.exception, ToolbenchError)
    assert "is missing" in str(done.exception)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of ToolBench's test instructions over the four APIs."""
    folder = tmp_path / "tests"
    folder.mkdir()
    for name, asked in (("G1_tool", APIS[:2]), ("G3_instruction", APIS[2:])):
        entries = [
            {"query": f"please {api.description}", "query_id": n, "api_list": [native(a) for a in APIS],
             "relevant APIs": [[api.tool, api.name]]}
            for n, api in enumerate(asked)
        ]  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps([*entries, {"query": "nothing fits", "api_list": []}]))
    return folder


def figures(*words: str) -> dict[str, Any]:
    done = run("eval", *words, "--json")
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_eval_measures_on_files_and_on_the_lake(serving: Lake, files: Path, tmp_path: Path) -> None:
    at = ("--lake", serving.uri)
    apart = figures("--queries", str(files), "--lake", str(tmp_path / "none"))
    assert (apart["queries"], apart["apis"], apart["unusable"], apart["absent"]) == (4, 4, 2, 0)
    assert apart["models"]["bm25"]["all"]["ndcg@5"]["mean"] == 1.0
    assert {g: f["queries"] for g, f in apart["models"]["bm25"]["group"].items()} == {"I1": 2, "I3": 2}
    assert set(apart["models"]["bm25"]["split"]) == {"tool", "instruction"}
    both = figures("--queries", str(files), "--corpus", "lake", *at, "--model", "bm25", "--model", "hybrid")
    assert both["models"]["bm25"] == apart["models"]["bm25"]
    assert both["models"]["hybrid"]["all"]["recall@5"]["mean"] == 1.0
    own = figures(*at, "--model", "serving")
    assert (own["queries"], own["apis"]) == (len(TESTS), 4)
    plot = tmp_path / "bars.svg"
    table = run("eval", *at, "--plot", str(plot)).output
    assert table.splitlines()[0].split()[:3] == ["model", "slice", "queries"]
    assert f"{len(TESTS)} queries, 4 APIs" in table
    assert plot.read_bytes().startswith(b"<?xml")


def test_bm25_reads_the_tools_descriptions_of_a_lake_and_of_a_catalogue(
    lake: Lake, files: Path, tmp_path: Path
) -> None:
    published(lake, APIS)
    about = {
        api.id: text.rpartition("\n")[2] for api in APIS for text in [corpus_of(lake, lake.snapshot()).words[api.id]]
    }
    assert about == {api.id: tool.description for api in APIS for tool in [a_tool(api)]}
    catalogue = tmp_path / "tools" / "Weather"
    catalogue.mkdir(parents=True)
    described = {"tool_name": APIS[0].tool, "tool_description": "umbrella", "home_url": "", "api_list": []}
    offered = {"name": "x", "url": "https://a.test/x", "description": "x", "method": "GET",
               "required_parameters": [], "optional_parameters": []}  # fmt: skip
    (catalogue / "rain.json").write_text(json.dumps({**described, "api_list": [offered]}))
    asked = json.loads((files / "G1_tool.json").read_text())
    (files / "G1_tool.json").write_text(json.dumps([{**asked[0], "query": "an umbrella"}]))
    at = ("--queries", str(files / "G1_tool.json"), "--lake", lake.uri)
    assert figures(*at)["models"]["bm25"]["all"]["recall@5"]["mean"] == 0
    found = figures(*at, "--tools", str(tmp_path / "tools"))
    assert found["models"]["bm25"]["all"]["ndcg@1"]["mean"] == 1
    assert found["apis"] == 4, "the catalogue is not searched"


def test_apis_that_the_corpus_lacks_count_as_missed(lake: Lake, files: Path) -> None:
    published(lake, APIS[:3])
    found = figures("--queries", str(files), "--corpus", "lake", "--lake", lake.uri)
    assert found["absent"] == 1
    assert found["models"]["bm25"]["all"]["recall@5"]["mean"] == 0.75


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff[]", "are not valid JSON"),
        (b'[{"query": "x", "api_list": []}]', "no query with a relevant API"),
        (None, "holds no .json file"),
    ],
)
def test_files_that_cannot_be_measured_with_are_named(
    lake: Lake, tmp_path: Path, content: bytes | None, message: str
) -> None:
    folder = tmp_path / "q"
    folder.mkdir()
    if content is not None:
        (folder / "G1_tool.json").write_bytes(content)
    done = run("eval", "--queries", str(folder), "--lake", lake.uri)
    assert isinstance(done.exception, SourceError), done.output
    assert message in str(done.exception)
    assert str(folder) in str(done.exception)


def test_what_export_writes_is_read_measured_and_trained_with(
    serving: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_base: str
) -> None:
    out = tmp_path / "retrieval"
    done = CliRunner().invoke(app, ["export", "retrieval", "--lake", serving.uri, "--out", str(out)])
    assert done.exit_code == 0, done.output
    data = read(out)
    assert sorted(data.train.queries.values()) == sorted(p.query for p in TRAINING)
    assert sorted(data.test.queries.values()) == sorted(p.query for p in TESTS)
    told = figures("--queries", str(out), "--lake", serving.uri, "--model", "bm25")
    own = figures("--lake", serving.uri, "--model", "bm25")
    assert told["models"]["bm25"]["all"]["recall@5"] == own["models"]["bm25"]["all"]["recall@5"]
    config = RetrieverConfig(base=tiny_base, epochs=1, max_tokens=32)
    monkeypatch.setattr(RetrieverConfig, "preset", lambda *_, **__: config)
    made = run("train", "--pairs", str(out), "--lake", serving.uri, "--out", str(tmp_path / "model"))
    assert made.exit_code == 0, made.output
    assert "24 pairs to train on, 4 APIs searched, 0 not usable" in made.output
    assert found("moon", "--lake", serving.uri, "--model", str(tmp_path / "model"))


def test_pairs_that_only_name_their_apis_are_looked_up(
    serving: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_base: str, files: Path
) -> None:
    named = [
        {"query": f"look for {api.name} {n}", "query_id": n, "relevant": [[api.category, api.tool.lower(), api.name]]}
        for n, api in enumerate(APIS)
    ]
    named[0]["relevant"].append(["Weather", "gone", "gone"])  # type: ignore[attr-defined]
    path = tmp_path / "G3_train.json"
    path.write_text(json.dumps(named))
    at = ("--lake", serving.uri, "--pairs", str(path), "--out", str(tmp_path / "model"))
    assert "say with --corpus" in str(run("train", *at).exception)
    config = RetrieverConfig(base=tiny_base, epochs=1, max_tokens=32)
    monkeypatch.setattr(RetrieverConfig, "preset", lambda *_, **__: config)
    made = run("train", *at, "--corpus", "lake")
    assert made.exit_code == 0, made.output
    assert "4 pairs to train on, 4 APIs searched, 1 not usable" in made.output
    path.write_text(json.dumps([{"query": "x", "relevant": [["Weather", 7, "x"]]}]))
    assert "entry 0 names a relevant API by other than" in str(run("train", *at, "--corpus", "lake").exception)


def test_training_in_the_lake_publishes_what_serves(serving: Lake, tiny_base: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOOLBENCH_RETRIEVER__BASE", tiny_base)
    monkeypatch.setenv("TOOLBENCH_RETRIEVER__MAX_TOKENS", "32")
    made = run("train", "--lake", serving.uri)
    assert made.exit_code == 0, made.output
    after = serving.snapshot().models
    decision = after[NEWEST].metrics["decision"]
    assert decision["sentence"] in made.output
    assert after[MODEL].spec == decision["serves"]
    assert after[INDEX].metrics["model"] == after[MODEL].spec
    assert after[INDEX].metrics["apis"] == len(corpus_of(serving, serving.snapshot()))
    assert "trained before" in run("train", "--lake", serving.uri).output
