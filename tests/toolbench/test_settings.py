import json
from pathlib import Path
from typing import Any

import pytest

from toolbench.errors import UsageError
from toolbench.settings import HostSettings, Loaded, Settings, load, table


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith(("TOOLBENCH_", "OPENAI_")):
            monkeypatch.delenv(name)


def toml(folder: Path, text: str) -> Path:
    (folder / "toolbench.toml").write_text(text, encoding="utf-8")
    return folder


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    loaded = load(folder=tmp_path)
    assert loaded == Loaded(settings=Settings(), origins={})
    assert loaded.settings.teacher.offline
    assert {origin for *_, origin in table(loaded)} == {"default"}


def test_the_later_source_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml(tmp_path, 'lake = "from-file"\nseed = 1\n[search]\nwidth = 3\nmax_depth = 5\nmax_calls = 7\n')
    monkeypatch.setenv("TOOLBENCH_SEED", "2")
    monkeypatch.setenv("TOOLBENCH_SEARCH__MAX_DEPTH", "6")
    monkeypatch.setenv("toolbench_search__max_calls", "8")
    loaded = load({"search.max_calls": 9, "seed": None, "lake": None}, folder=tmp_path)
    settings = loaded.settings
    assert (settings.lake, settings.seed) == ("from-file", 2)
    assert (settings.search.width, settings.search.max_depth, settings.search.max_calls) == (3, 6, 9)
    assert settings.search.method == "dfsdt"
    origins = {name: origin for name, _, origin in table(loaded)}
    assert {k: v for k, v in origins.items() if v != "default"} == {
        "lake": "toolbench.toml",
        "seed": "TOOLBENCH_SEED",
        "search.width": "toolbench.toml",
        "search.max_depth": "TOOLBENCH_SEARCH__MAX_DEPTH",
        "search.max_calls": "--max-calls",
    }


def test_openais_variables_mean_the_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml(tmp_path, '[teacher]\nbase_url = "http://file/v1"\napi_key = "file"\n')
    monkeypatch.setenv("OPENAI_BASE_URL", "http://env/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    loaded = load(folder=tmp_path)
    assert loaded.settings.teacher.base_url == "http://env/v1"
    assert loaded.origins["teacher.base_url"] == "OPENAI_BASE_URL"
    # An empty variable is one that is not set.
    assert loaded.settings.teacher.api_key.get_secret_value() == "file"
    monkeypatch.setenv("OPENAI_API_KEY", "env")
    assert load(folder=tmp_path).settings.teacher.api_key.get_secret_value() == "env"
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000/v1")
    with pytest.raises(UsageError, match=r"from OPENAI_BASE_URL\): 'localhost:8000/v1' is no address .* http://"):
        load(folder=tmp_path)
    assert load({"teacher.base_url": "http://flag"}, folder=tmp_path).settings.teacher.base_url == "http://flag"


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOOLBENCH_TEACHER__BASE_URL", "http://ours/v1"), ("TOOLBENCH_TEACHER", '{"base_url": "http://ours/v1"}')],
)
def test_our_variable_wins_over_openais(name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://shared/v1")
    monkeypatch.setenv(name, value)
    loaded = load(folder=tmp_path)
    assert loaded.settings.teacher.base_url == "http://ours/v1"
    assert loaded.origins["teacher.base_url"] == name


def test_a_key_alone_never_makes_a_bill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert load(folder=tmp_path).settings.teacher.offline
    assert not load({"teacher.model": "gpt-4o-mini"}, folder=tmp_path).settings.teacher.offline


def test_secrets_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-SECRET")
    monkeypatch.setenv("TOOLBENCH_APIS__SECRETS", '{"a.com": {"key": "SECRET-too"}}')
    loaded = load(folder=tmp_path)
    assert loaded.settings.apis.secrets["a.com"]["key"].get_secret_value() == "SECRET-too"
    rows = {name: (json.loads(value), origin) for name, value, origin in table(loaded)}
    assert rows["teacher.api_key"] == ("**********", "OPENAI_API_KEY")
    assert rows["apis.secrets"] == ({"a.com": {"key": "**********"}}, "TOOLBENCH_APIS__SECRETS")
    for text in (str(table(loaded)), repr(loaded), str(loaded.settings), loaded.model_dump_json()):
        assert "SECRET-" not in text
        assert "sk-" not in text


def test_a_wrong_secret_is_not_shown_in_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLBENCH_APIS__SECRETS", '{"a.com": ["SECRET"]}')
    with pytest.raises(UsageError) as caught:
        load(folder=tmp_path)
    assert 'SECRET"' not in str(caught.value)
    monkeypatch.setenv("TOOLBENCH_APIS__SECRETS", '{"a.com": {"key": "HIDDEN"')
    with pytest.raises(UsageError, match="written as JSON") as caught:
        load(folder=tmp_path)
    assert "HIDDEN" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[search]\nwidht = 3\n", ["search.widht", "toolbench.toml", "no such setting"]),
        ("[serch]\nwidth = 3\n", ["serch", "toolbench.toml", "no such setting"]),
        ("laek = 'x'\n", ["laek", "toolbench.toml", "no such setting"]),
        ("[search]\nwidth = 99\n", ["search.width", "toolbench.toml", "less than or equal to 8"]),
        ("[search]\nmethod = 'bfs'\n", ["search.method", "toolbench.toml", "dfsdt"]),
        ("search = 3\n", ["search", "toolbench.toml"]),
        ("seed = 'x'\n", ["seed", "toolbench.toml", "integer"]),
        ("[teacher.prices]\nm = [1]\n", ["teacher.prices.m", "toolbench.toml"]),
        ("[search\n", ["toolbench.toml is not valid TOML", "line 1"]),
        ("a = \udcff", ["toolbench.toml is not valid TOML"]),
    ],
)
def test_what_is_wrong_in_the_file_is_named(text: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "toolbench.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as caught:
        load(folder=tmp_path)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert caught.value.exit_code == 2


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "toolbench.toml").mkdir()
    with pytest.raises(UsageError, match=r"toolbench\.toml cannot be read"):
        load(folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("TOOLBENCH_SEARCH__WIDTH", "wide", "search.width"),
        ("TOOLBENCH_SEARCH__WIDHT", "3", "search.widht"),
        ("TOOLBENCH_WORK__WORKERS", "0", "work.workers"),
        ("TOOLBENCH_CATALOGUE__CATEGORIES", "Weather", "catalogue"),
        ("TOOLBENCH_LAEK", "x", "TOOLBENCH_LAEK"),
        ("TOOLBENCH_SERCH__WIDTH", "3", "TOOLBENCH_SERCH__WIDTH"),
        ("TOOLBENCH_TEACHER", "x", "teacher"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(
    name: str, value: str, field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as caught:
        load(folder=tmp_path)
    assert field in str(caught.value)
    assert name in str(caught.value) or "TOOLBENCH_ variable" in str(caught.value)


def test_a_wrong_flag_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"instructions\.total \(from --total\)"):
        load({"instructions.total": 0}, folder=tmp_path)


def test_a_section_that_is_a_plain_value_and_a_field_of_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Setting search \(from toolbench\.toml\)"):
        load({"search.width": 2}, folder=toml(tmp_path, "search = 3\n"))


@pytest.mark.parametrize("name", ["TOOLBENCH_TEST_DATA", "TOOLBENCH_CONFORMANCE", "TOOLBENCH_OFFLINE_KEY"])
def test_the_tests_own_variables_are_harmless(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "somewhere")
    assert load(folder=tmp_path) == Loaded(settings=Settings(), origins={})


def test_lists_and_mappings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml(tmp_path, '[apis]\nhosts = {"api.example.com" = "http://127.0.0.1:1"}\n[teacher.prices]\n"gpt-4.1" = [1, 2]\n')
    monkeypatch.setenv("TOOLBENCH_CATALOGUE__CATEGORIES", '["Weather", "Music"]')
    loaded = load(folder=tmp_path)
    assert loaded.settings.apis.hosts == {"api.example.com": HostSettings(connect="http://127.0.0.1:1")}
    assert loaded.settings.teacher.prices == {"gpt-4.1": (1.0, 2.0)}
    assert loaded.settings.catalogue.categories == ("Weather", "Music")


def test_every_setting_is_documented() -> None:
    sections: dict[str, Any] = {name: field.annotation for name, field in Settings.model_fields.items()}
    for name, section in sections.items():
        if hasattr(section, "model_fields"):
            assert section.__doc__, name
            for field, info in section.model_fields.items():
                assert info.description, f"{name}.{field}"
        else:
            assert Settings.model_fields[name].description, name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("teacher.base_url", "https://me:hunter2@teacher.example.org/v1"),
        ("teacher.endpoints", {"https://me:hunter2@teacher.example.org/v1": 1}),
        ("judge.base_url", "https://hunter2@judge.example.org/v1"),
        ("apis.hosts", {"api.example.org": "https://me:hunter2@localhost:1"}),
    ],
)
def test_an_address_that_would_be_shown_with_its_password_is_refused_without_showing_it(
    field: str, value: object
) -> None:
    with pytest.raises(UsageError, match="must not hold a user or a password") as refused:
        load({field: value})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(("judge", "unknown"), [("", "teacher"), ("judge", "judge")])
def test_a_cost_that_nobody_can_count_is_refused(judge: str, unknown: str) -> None:
    prices = {} if unknown == "teacher" else {"teacher": [1, 2]}
    flags = {"teacher.model": "teacher", "teacher.prices": prices, "judge.model": judge, "budget.max_cost": 1}
    with pytest.raises(UsageError, match=rf"budget\.max_cost needs the price of {unknown} in teacher\.prices"):
        load(flags)
    assert load({**flags, "teacher.prices": {"teacher": [1, 2], "judge": [1, 1]}}).settings.budget.max_cost == 1
