"""`toolbench screen`: its flags, its rules, and what it prints."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner
from workshop import a_tool, an_api, publish

from toolbench import screening
from toolbench.cli import screen, watch
from toolbench.errors import UsageError
from toolbench.lake import Lake, Spec
from toolbench.records import Api, Tool, Verdict

WHERE = {"source": "mine", "category": "Weather"}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The command alone, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    made = typer.Typer()
    screen.register(made)
    return made


def run(app: typer.Typer, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def a_night(lake: Lake, apis: list[Api], before: dict[str, Any], **verdicts: Verdict) -> None:
    """Publish APIs with verdicts as a night would leave them."""
    spec = Spec(stage="screening", label="", partition=WHERE, records=[], content="x", params=before)
    lake.put_spec(spec)
    rows = [
        Verdict(id=api.id, tool_id=api.tool_id, category=api.category, evidence="[]", calls=1, night="2025-01-01",
                spec=spec.digest, **verdicts[api.name])
        for api in apis
    ]  # fmt: skip
    receipt = lake.finish(
        spec, {Api: apis, Tool: [a_tool(apis[0])], Verdict: rows}, taken_in=len(rows), passed_on=len(rows)
    )
    publish(lake, [receipt], ("apis", "tools", "verdicts"))


def test_the_table_and_what_was_retired_and_revived_are_printed(
    app: typer.Typer, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    apis = [an_api("Sky", name) for name in ("now", "later", "past")]
    before = {"failed": {apis[0].id: 2, apis[1].id: 5}, "retired": [apis[1].id]}
    a_night(
        lake, apis, before,
        now={"verdict": "dead", "reason": "not_found", "failed_nights": 3, "retired": True},
        later={"verdict": "working", "reason": ""},
        past={"verdict": "rate_limited", "reason": "too_many_requests"},
    )  # fmt: skip
    asked: list[Any] = []
    monkeypatch.setattr(watch, "run_flow", lambda *given, **extra: asked.append((*given, extra)))
    out = run(app, "--lake", lake.uri, "--categories", "Weather", "--night", "2025-01-01")
    (command, flags, settings, report, extra), *more = asked
    assert (command, report, extra, more) == ("screen", None, {"night": "2025-01-01"}, [])
    assert flags == {"lake": lake.uri, "catalogue.categories": ["Weather"]}
    assert settings.catalogue.categories == ("Weather",)
    assert "screened in the night 2025-01-01" in out
    row = next(line.split() for line in out.splitlines() if line.startswith("Weather"))
    assert row == ["Weather", "1", "1", "1", "3", "1"], "working, dead, rate limited, all, retired"
    assert "retired   1: Weather/sky/now" in out
    assert "revived   1: Weather/sky/later" in out


def test_the_rules_are_printed_to_start_a_file_from(app: typer.Typer, tmp_path: Path) -> None:
    assert run(app, "--print-rules") == screening.shipped_rules()
    mine = tmp_path / "mine.toml"
    mine.write_text(run(app, "--print-rules").replace("pass = []", 'pass = ["a/b"]'))
    assert 'pass = ["a/b"]' in run(app, "--print-rules", "--rules", str(mine))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--night", "tomorrow"], "--night tomorrow is no date"),
        (["--rules", "gone.toml"], "The screening rules gone.toml cannot be read"),
        (["--rules", "broken.toml"], "broken.toml are not valid TOML"),
        (["--rules", "short.toml"], "short.toml, key responses"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    app: typer.Typer, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "broken.toml").write_text("[junk")
    (tmp_path / "short.toml").write_text("[junk]\n")
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert not (tmp_path / "lake").exists()
