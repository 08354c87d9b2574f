"""`toolbench export` as a user meets it."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result
from workshop import Factory

from toolbench.cli import export
from toolbench.errors import LakeError, UsageError
from toolbench.records import Instruction

# Under a root of its own, as the command has it.
root = typer.Typer()
root.add_typer(export.app, name="export")


def run(*words: str) -> Result:
    return CliRunner().invoke(root, ["export", *words])


def test_instructions_become_files_and_are_counted(factory: Factory, tmp_path: Path) -> None:
    done = run("instructions", "--lake", factory.lake.uri, "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    total = factory.dataset.view.rows(Instruction.TABLE)
    lines = done.output.splitlines()
    said = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in lines if line.startswith("G")}
    assert said == {p.name: len(json.loads(p.read_text())) for p in (tmp_path / "out").iterdir()}
    assert sum(said.values()) == total
    assert lines[-1].endswith(f"{total:,} instructions in {tmp_path / 'out'}")


def test_a_split_and_an_earlier_snapshot_can_be_asked_for(factory: Factory, tmp_path: Path) -> None:
    number = str(factory.instructions.view.number)
    done = run("instructions", "--lake", factory.lake.uri, "--out", str(tmp_path), "--split", "train",
               "--snapshot", number)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"snapshot {number}, " in done.output
    assert {p.name for p in tmp_path.iterdir()} == {"G1_query.json", "G2_query.json", "G3_query.json"}


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["--split", "test"], UsageError, "no split 'test'; choose one of train, instruction, tool, category"),
        (["--snapshot", "99"], LakeError, "no snapshot 99"),
        (["--snapshot", "1"], UsageError, "run `toolbench instruct` first"),
    ],
)
def test_what_is_wrong_is_said(
    factory: Factory, tmp_path: Path, words: list[str], kind: type[Exception], message: str
) -> None:
    done = run("instructions", "--lake", factory.lake.uri, "--out", str(tmp_path / "out"), *words)
    assert isinstance(done.exception, kind)
    assert message in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_folder_has_to_be_named(factory: Factory) -> None:
    done = run("instructions", "--lake", factory.lake.uri)
    assert done.exit_code == 2
    assert "--out" in done.output
