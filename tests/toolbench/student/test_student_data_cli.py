"""`toolbench student preview` and `stats`, on a lake and on files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from student_conversations import HELD_OUT, TEMPLATE, TRAINING, a_conversation
from test_student_conversations import CALL, FINISH, GIVE_UP, WET, item
from test_student_lake import fill, refused, run

from toolbench.lake import Lake
from toolbench.student import sample
from toolbench.student.samples import IGNORED
from toolbench.student.templates import react


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, make_tokenizer: Callable[[str | None], Any]) -> str:
    """The folder of a tokenizer: no model is needed to look at data."""
    folder = tmp_path_factory.mktemp("base")
    make_tokenizer(TEMPLATE).save_pretrained(folder)
    return str(folder)


def test_statistics_are_the_samples_own(lake: Lake, base: str, make_tokenizer: Callable[[str | None], Any]) -> None:
    long = a_conversation("long", observation="z" * 3000)
    hopeless = replace(long, id="hopeless", messages=[replace(m, content="q " * 900) if m.role == "user" else m
                                                      for m in long.messages])  # fmt: skip
    fill(lake, [*TRAINING, long, hopeless, *HELD_OUT])
    told = json.loads(run("stats", "--base", base, "--lake", lake.uri, "--max-tokens", "600", "--json"))
    tokenizer = make_tokenizer(TEMPLATE)
    made = [sample(c, tokenizer, 600) for c in (*TRAINING, long)]
    totals = sorted(len(s.input_ids) for s in made)
    learned = [sum(x != IGNORED for x in s.labels) for s in made]
    assert told["samples"] == len(made) == 9
    assert told["rejected"] == {"too_long": 1}
    assert (told["observations"], told["shortened"], told["dropped"], told["samples_changed"]) == (9, 1, 0, 1)
    assert told["tokens"]["total"]["sum"] == sum(totals)
    assert (told["tokens"]["total"]["least"], told["tokens"]["total"]["greatest"]) == (totals[0], totals[-1])
    assert told["tokens"]["total"]["p50"] == totals[4]
    assert told["tokens"]["targets"]["sum"] == sum(learned)
    counted = [
        len(tokenizer(m.content)["input_ids"]) for c in (*TRAINING, long) for m in c.messages if m.role == "tool"
    ]
    assert told["tokens"]["observations"]["sum"] == sum(counted), "before anything was cut"
    words = run("stats", "--base", base, "--lake", lake.uri, "--max-tokens", "600")
    assert "observations 9: cut 1, dropped with a note 0\n" in words
    assert "  too_long 1, the first: Conversation hopeless has more than 600 tokens" in words


def test_files_are_looked_at_without_a_lake(tmp_path: Path, base: str) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps([item(1, CALL), item(2, CALL, WET, FINISH), item(1, GIVE_UP, query="Else?")]))
    arguments = ("--base", base, "--data", str(path))
    told = json.loads(run("stats", *arguments, "--json"))
    assert (told["samples"], told["rejected"]) == (1, {"gave_up": 1})
    assert json.loads(run("stats", *arguments, "--give-ups", "--per-turn", "--json"))["samples"] == 3
    shown = run("preview", *arguments, "--per-turn", "--number", "2", "--plain")
    assert shown.count("[[") == 1
    assert '[[<|call|>Finish {"return_type": "give_answer", "final_answer": "3"}<|im_end|>]]' in shown
    text = run("preview", *arguments, "--calls", "react", "--plain")
    assert 'Assistant:\n[[Thought: Look.\nAction: rain_for_weather\nAction Input: {"city": "Oslo"}<|im_end|>]]' in text


def test_the_preview_as_json_holds_the_very_sample(
    lake: Lake, base: str, make_tokenizer: Callable[[str | None], Any]
) -> None:
    fill(lake, TRAINING[:1])
    told = json.loads(run("preview", "--base", base, "--lake", lake.uri, "--json"))
    made = sample(TRAINING[0], make_tokenizer(TEMPLATE))
    assert (told["input_ids"], told["labels"]) == (made.input_ids, made.labels)
    assert sum(part["tokens"] for part in told["parts"]) == len(made.labels)
    assert [part["learned"] for part in told["parts"]] == [False, True, False, True, False]


def test_a_base_without_a_template_writes_its_calls_as_text(
    lake: Lake, tmp_path: Path, make_tokenizer: Callable[[str | None], Any]
) -> None:
    fill(lake, TRAINING[:1])
    make_tokenizer(None).save_pretrained(tmp_path / "bare")
    arguments = ("preview", "--base", str(tmp_path / "bare"), "--lake", lake.uri)
    assert "[[Thought:\nAction: rain_for_weather" in run(*arguments)
    assert "shows no functions" in refused(*arguments, "--calls", "native")
    assert "{%- generation %}" in react()


def test_what_cannot_be_looked_at_is_one_sentence(lake: Lake, tmp_path: Path, base: str) -> None:
    path = tmp_path / "train.json"
    path.write_text("[]")
    assert "no conversation" in refused("preview", "--base", base, "--data", str(path))
    assert "one of the two" in refused("stats", "--base", base, "--data", str(path), "--lake", lake.uri)
    fill(lake, TRAINING)
    assert "up to 8" in refused("preview", "--base", base, "--lake", lake.uri, "--number", "9")
    assert "no snapshot 7" in refused("stats", "--base", base, "--lake", lake.uri, "--snapshot", "7")
    assert "split `tool`" in refused("stats", "--base", base, "--lake", lake.uri, "--split", "tool")
