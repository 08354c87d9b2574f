"""The prompt for instructions: four parts in order, and a teacher that reads it writes about the sampled APIs."""

import json
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workshop import Server, an_api

from toolbench.instructions import seeds
from toolbench.instructions.prompting import digests, documents, messages
from toolbench.records import Api, Parameter
from toolbench.teacher.offline.transcript import fenced

SAMPLED = [
    an_api(tool, name)
    for tool, name in (("Skyline", "now"), ("Skyline", "past"), ("Groundline", "soil"), ("Groundline", "rock"),
                       ("Treeline", "wood"))
]  # fmt: skip
HEADINGS = ["# Your task", "# The APIs", "# Examples", "# Requirements"]


def user(**wanted: Any) -> str:
    """The user message, for the five APIs unless others are given."""
    defaults: dict[str, Any] = {"multi": True, "count": 10, "seed": 1}
    apis = wanted.pop("apis", SAMPLED)
    text: str = messages(apis, **{**defaults, **wanted})[1]["content"]
    return text


def asked(server: Server, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The instructions that a teacher writes."""
    body = {"model": "offline-teacher", "messages": sent}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body).raise_for_status().json()
    found: list[dict[str, Any]] = json.loads(answer["choices"][0]["message"]["content"])["instructions"]
    return found


@pytest.mark.parametrize("multi", [False, True])
def test_the_four_parts_stand_in_the_papers_order(multi: bool) -> None:
    system, said = messages(SAMPLED, multi=multi, count=10, seed=1)
    assert (system["role"], said["role"]) == ("system", "user")
    assert re.findall(r"^# .*$", said["content"], re.MULTILINE) == HEADINGS
    assert "\n\n\n" not in said["content"]


def test_the_task_says_whether_several_tools_are_needed() -> None:
    assert "at least two different tools" in user(multi=True)
    assert "two different tools" not in user(multi=False)
    assert "of several tools" in user(multi=True)
    assert "of one tool" in user(multi=False)


@pytest.mark.parametrize("multi", [False, True])
def test_the_examples_are_the_three_drawn_seeds_without_their_values(multi: bool) -> None:
    for seed in range(20):
        text = user(multi=multi, seed=seed)
        part = text[text.index(HEADINGS[2]) : text.index(HEADINGS[3])]
        shown = [json.loads(found) for found in re.findall(r"^The APIs: (.*)$", part, re.MULTILINE)]
        answers = [json.loads(found) for found in re.findall(r"^The answer: (.*)$", part, re.MULTILINE)]
        drawn = seeds.draw(multi, seed)
        assert shown == [{"apis": [dict(a) for a in s.apis]} for s in drawn]
        assert answers == [
            {"instructions": [{"instruction": r.text, "relevant_apis": list(r.relevant)} for r in s.requests]}
            for s in drawn
        ]


def test_the_same_seed_gives_the_same_prompt_and_another_one_other_examples() -> None:
    assert user(seed=5) == user(seed=5)
    assert len({user(seed=seed) for seed in range(20)}) > 15


@pytest.mark.parametrize(
    ("count", "short", "long"), [(10, 7, 3), (5, 3, 2), (20, 14, 6), (3, 2, 1), (2, 1, 1), (7, 5, 2)]
)
def test_three_in_ten_requests_are_asked_for_as_longer_stories(count: int, short: int, long: int) -> None:
    text = user(count=count)
    assert f"- Write {count} requests, in English.\n" in text
    assert re.search(rf"^- {short} of them (is|are) short", text, re.MULTILINE)
    assert re.search(rf"\. {long} tells? a longer story", text)
    assert documents(SAMPLED, count)["count"] == count


def test_a_single_request_is_asked_for_in_the_singular() -> None:
    text = user(count=1)
    assert "- Write 1 request, in English.\n- Keep it short and specific.\n- Under" in text
    assert "longer story" not in text


def test_another_language_is_asked_for_by_name() -> None:
    assert "- Write 10 requests, in Portuguese, although the examples are in English." in user(language="Portuguese")


def test_documents_are_complete_and_show_no_credentials() -> None:
    shown = Parameter(
        name="Units!", shown_as="units", type="string", required=False, description="Which", default='"metric"'
    )
    secret = Parameter(name="key", shown_as="key", type="string", required=True, secret=True)
    api = an_api("Skyline", "now", parameters=[shown, secret])
    found = documents([api], 4)
    assert found == {
        "apis": [
            {
                "name": "now_for_skyline",
                "tool": "Skyline",
                "category": "Weather",
                "description": "Skyline: the now of a city",
                "parameters": [
                    {
                        "name": "units",
                        "type": "string",
                        "required": False,
                        "description": "Which",
                        "default": "metric",
                    }
                ],
            }
        ],
        "count": 4,
    }


@given(st.text(), st.text(), st.text())
def test_no_description_breaks_out_of_the_documentation(tool: str, description: str, parameter: str) -> None:
    one = Parameter(name="x", shown_as="x", type="string", required=True, description=parameter)
    definition = json.dumps({"name": "f", "description": f"```\n{description}\n```json\n{{}}\n```"})
    api = replace(an_api("Skyline", "now"), tool=tool, definition=definition, parameters=[one])
    blocks = list(fenced(messages([api], multi=False, count=2, seed=0)))
    assert blocks == [documents([api], 2)]


@pytest.mark.parametrize(("multi", "seed"), [(multi, seed) for multi in (False, True) for seed in range(8)])
def test_the_offline_teacher_answers_about_the_sampled_apis_only(
    multi: bool, seed: int, honest_teacher: Server
) -> None:
    apis: list[Api] = SAMPLED if multi else SAMPLED[:2]
    found = asked(honest_teacher, messages(apis, multi=multi, count=10, seed=seed))
    by_function = {a.function: a for a in apis}
    examples = {str(a["name"]) for s in seeds.draw(multi, seed) for a in s.apis}
    assert len(found) == 10
    for item in found:
        assert set(item["relevant_apis"]) <= set(by_function)
        assert not set(item["relevant_apis"]) & examples
        if multi:
            assert len({by_function[name].tool_id for name in item["relevant_apis"]}) > 1


def test_digests_name_every_file_and_the_seeds() -> None:
    single, multi = digests(False), digests(True)
    common = {"system", "documentation", "examples", "requirements", "repair"}
    assert set(single) == common | {"task_single", "seeds"}
    assert set(multi) == common | {"task_multi", "seeds"}
    assert all(single[name] == multi[name] for name in common)
    assert single["seeds"] != multi["seeds"]
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in (*single.values(), *multi.values()))


def test_the_digest_of_the_seeds_moves_with_their_data(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests(True)["seeds"]
    seeds.data_digest.cache_clear()
    changed = [*seeds._entries(True)[:-1]]
    monkeypatch.setattr(seeds, "_entries", lambda multi: changed)
    try:
        assert digests(True)["seeds"] != before
    finally:
        seeds.data_digest.cache_clear()


@pytest.mark.parametrize("multi", [False, True])
def test_a_prompt_for_five_apis_stays_short(multi: bool) -> None:
    sizes = [sum(len(m["content"]) for m in messages(SAMPLED, multi=multi, count=10, seed=s)) for s in range(100)]
    assert min(sizes) > 6_000
    assert max(sizes) < 16_000
