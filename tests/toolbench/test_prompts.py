"""Prompts: files with a digest, and no silent gaps."""

import hashlib
from importlib.resources import files
from pathlib import Path

import jinja2
import pytest

import toolbench
from toolbench import prompts

FOUND = sorted(Path(toolbench.__file__).parent.rglob("prompts/*.md.jinja"))


def test_there_are_prompts() -> None:
    assert len(FOUND) > 8


@pytest.mark.parametrize("path", FOUND, ids=lambda p: f"{p.parents[1].name}/{p.name}")
def test_every_prompt_loads_and_is_named_by_its_source(path: Path) -> None:
    place = path.relative_to(Path(toolbench.__file__).parents[1]).parents[1]
    prompt = prompts.load(".".join(place.parts), path.name.removesuffix(".md.jinja"))
    assert prompt.digest == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert files(".".join(place.parts)).joinpath("prompts", path.name).is_file()


def test_a_missing_value_is_no_empty_text() -> None:
    documents = prompts.load("toolbench.instructions", "documentation")
    with pytest.raises(jinja2.UndefinedError):
        documents.render()
    text = documents.render(documents='{"apis": ["<b> & \\" \'"]}')
    assert '{"apis": ["<b> & \\" \'"]}' in text, "prompts are plain text: nothing is escaped"
    wanted = prompts.load("toolbench.instructions", "requirements")
    with pytest.raises(jinja2.UndefinedError):
        wanted.render(multi=True, count=3)
