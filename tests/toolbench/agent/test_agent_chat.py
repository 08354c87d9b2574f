"""The agent behind OpenAI's chat endpoint, asked with OpenAI's client."""

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from agent_lake import ALL, APIS, FINE, RAIN, Scripted, answering, calling, ending, giving_up, under_way, until

MESSAGES: list[Any] = [{"role": "user", "content": "Will it rain in Oslo?"}]
ASKED: dict[str, Any] = {"model": "toolbench-agent", "messages": MESSAGES}


def client(url: str, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


def post(url: str, **changes: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/chat/completions", content=json.dumps({**ASKED, **changes}), timeout=30)


def leaving(url: str, **changes: Any) -> http.client.HTTPConnection:
    """A client that has asked and does not wait; closing it is leaving."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request("POST", "/v1/chat/completions", json.dumps({**ASKED, **changes}))
    return connection


def test_an_answer_comes_with_the_way_to_it(url: str, teacher: Scripted) -> None:
    teacher.says(RAIN, giving_up("No."), calling("weather_for_sea", {"city": "Oslo"}), FINE)
    made = client(url).chat.completions.create(**ASKED)
    (choice,) = made.choices
    assert (choice.message.content, choice.finish_reason) == ("It will rain in Oslo.", "stop")
    assert made.usage
    assert (made.usage.prompt_tokens, made.usage.completion_tokens, made.usage.total_tokens) == (400, 40, 440)
    trace = (made.model_extra or {})["toolbench"]
    scores = [api["score"] for api in trace["retrieved"]]
    assert scores == sorted(scores, reverse=True)
    assert {api["id"] for api in trace["retrieved"]} == {api.id for api in APIS}
    assert [(s["id"], s["parent"], s["api_id"], s["source"], s["pruned"]) for s in trace["steps"]] == [
        (1, 0, "Weather/sky/rain", "simulated", False),
        (2, 1, None, "none", True),
        (3, 0, "Weather/sea/weather", "simulated", False),
        (4, 3, None, "none", False),
    ]
    assert json.loads(trace["steps"][0]["observation"])["error"] == ""
    assert (trace["outcome"], trace["path"], trace["replies"]) == ("solved", [3, 4], 4)
    told = (choice.message.model_extra or {})["reasoning_content"]
    assert [line for line in told.splitlines() if line[0] != "←"] == [
        "I look at the sky.", '→ rain_for_sky {"city": "Oslo"}', "No.", "gave up here",
        '→ weather_for_sea {"city": "Oslo"}', "That is enough.",
    ]  # fmt: skip


def test_a_stream_tells_what_happens_and_then_the_answer(url: str, teacher: Scripted) -> None:
    long = "It will rain.\n" * 40
    teacher.says(RAIN, answering(long))
    chunks = list(client(url).chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1
    *told, last = chunks
    assert last.usage
    assert (last.choices, last.usage.total_tokens) == ([], 220)
    assert all(len(chunk.choices) == 1 for chunk in told), "clients look at the first choice"
    assert told[0].choices[0].delta.role == "assistant"
    parts = [chunk.choices[0].delta.content for chunk in told if chunk.choices[0].delta.content]
    assert "".join(parts) == long
    assert len(parts) > 1
    events = [chunk.model_extra["toolbench"] for chunk in told if "toolbench" in (chunk.model_extra or {})]
    assert [event["event"] for event in events] == ["retrieved"] * 4 + ["step"] * 4 + ["done"]
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert [(step["id"], step["observation"] is None) for step in steps] == [
        (1, True), (1, False), (2, True), (2, False),
    ]  # fmt: skip
    assert (events[-1]["path"], events[-1]["outcome"]) == ([1, 2], "solved")
    assert told[-1].choices[0].finish_reason == "stop"
    reasoning = "".join((chunk.choices[0].delta.model_extra or {}).get("reasoning_content", "") for chunk in told)
    assert reasoning.startswith("I look at the sky.\n→ rain_for_sky")


def test_what_was_said_before_is_context_and_not_the_task(url: str, teacher: Scripted) -> None:
    teacher.says(FINE)
    before: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Which songs are about rain?"},
        {"role": "assistant", "content": [{"type": "text", "text": "Purple Rain."}]},
    ]
    client(url).chat.completions.create(model="toolbench-agent", messages=before + MESSAGES)
    system, user = teacher.asked[0]["messages"]
    assert MESSAGES[0]["content"] in user["content"]
    assert "songs" not in user["content"]
    for text in ("Be brief.", "User: Which songs are about rain?", "Assistant: Purple Rain."):
        assert text in system["content"]
    client(url).chat.completions.create(**ASKED)
    assert "Before this task" in system["content"]
    assert "Before this task" not in teacher.asked[1]["messages"][0]["content"], "alone, there is no context"


def test_for_a_follow_up_an_api_may_be_near_to_both_questions(place: Any) -> None:
    def scores(*words: str) -> dict[str, float]:
        return {found.api.id: found.score for found in place.found.find(*words[:1], 4, *words[1:])}

    before, question = "find the lyrics of the song", "weather"
    alone, both = scores(question), scores(f"{before}\n{question}")
    assert alone != both
    assert scores(question, before) == {api: max(alone[api], both[api]) for api in alone}


def test_a_request_can_choose(url: str, teacher: Scripted) -> None:
    teacher.says(giving_up())
    more = {"toolbench": {"method": "react", "top": 2, "trace": False, "reasoning": False}}
    made = client(url).chat.completions.create(**ASKED, extra_body=more)
    assert made.choices[0].message.content == "No answer was found (the teacher gave up)."
    assert len(teacher.asked) == 1, "one chain does not go back"
    assert len(teacher.asked[0]["tools"]) == 2 + 1
    assert "toolbench" not in (made.model_extra or {})
    assert not made.choices[0].message.model_extra
    chunks = list(client(url).chat.completions.create(**ASKED, extra_body=more, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == [
        "", "No answer was found (the teacher gave up).", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "status", "param", "words"),
    [
        ({"model": "gpt-4o"}, 404, "model", "this server has `toolbench-agent`"),
        ({"messages": []}, 400, "messages", "messages"),
        ({"messages": [{"role": "assistant", "content": "Hm."}]}, 400, "messages", "must be the user's question"),
        ({"messages": [{"role": "user", "content": " "}]}, 400, "messages", "must be the user's question"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages.0", "wrong"),
        ({"toolbench": {"depth": 3}}, 400, "toolbench.depth", "toolbench.depth"),
        ({"toolbench": {"top": 0}}, 400, "toolbench.top", "greater than or equal to 1"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"}, 400, "tool_choice",
         "calls its own APIs"),
        ({"n": 2}, 400, "n", "leave `n` out"),
    ],
    ids=["model", "no messages", "last is not the user's", "empty", "image", "unknown", "top", "tool choice", "n"],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_in_openais_shape(
    url: str, teacher: Scripted, changes: dict[str, Any], status: int, param: str, words: str
) -> None:
    answer = post(url, **changes)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert (error["param"] or "").startswith(param)
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"
    assert teacher.asked == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 5000, b"3"])
def test_bodies_that_are_no_request_are_refused(url: str, body: bytes) -> None:
    assert httpx.post(f"{url}/v1/chat/completions", content=body).status_code == 400


def test_too_large_a_body_is_refused(url: str) -> None:
    answer = httpx.post(f"{url}/v1/chat/completions", content=b" " * (2**20 + 1))
    assert answer.status_code == 413
    assert "bytes" in answer.json()["error"]["message"]


def test_functions_that_a_client_offers_are_let_pass(url: str, teacher: Scripted) -> None:
    teacher.says(FINE)
    tool = {"type": "function", "function": {"name": "rm_rf"}}
    assert post(url, tools=[tool], tool_choice="auto").status_code == 200
    assert "rm_rf" not in json.dumps(teacher.asked)


def test_the_model_is_listed(url: str) -> None:
    (model,) = client(url).models.list().data
    assert model.id == "toolbench-agent"
    assert (model.model_extra or {})["toolbench"]["apis"] == 4
    assert client(url).models.retrieve("toolbench-agent").id == "toolbench-agent"
    with pytest.raises(openai.NotFoundError):
        client(url).models.retrieve("other")


def test_text_that_cannot_be_encoded_is_no_reason_to_fail(url: str, teacher: Scripted) -> None:
    teacher.says(calling("rain_for_sky", '{"city": "\\ud83d"}', "\ud83d"), answering("half \ud83d"))
    answer = post(url, messages=[{"role": "user", "content": "Half a pair \ud83d?"}])
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"].startswith("half ")
    teacher.says(calling("rain_for_sky", '{"city": "\\ud83d"}', "\ud83d"), answering("half \ud83d"))
    assert "[DONE]" in post(url, stream=True).text


# Limits


def test_who_comes_when_all_places_are_taken_is_told_when_to_come_again(
    start: Callable[..., str], teacher: Scripted
) -> None:
    busy = start(agent={"concurrency": 1, "queue": 1})
    teacher.says(FINE, allowed=0)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(post, busy) for _ in range(2)]
        until(lambda: under_way(busy) == (1, 1) and teacher.came == 1)
        for stream in (False, True):
            refused = post(busy, stream=stream)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        with pytest.raises(openai.RateLimitError):
            client(busy).chat.completions.create(**ASKED)
        assert teacher.came == 1, "one at a time"
        teacher.allowed = ALL
        assert [answer.result().status_code for answer in answers] == [200, 200]
    assert under_way(busy) == (0, 0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_when_the_client_leaves_the_model_is_asked_nothing_more(
    start: Callable[..., str], teacher: Scripted, stream: bool
) -> None:
    one = start(agent={"concurrency": 1, "queue": 0}, search={"max_calls": 200, "max_depth": 200})
    teacher.says(*[calling("rain_for_sky", {"city": f"c{n}"}) for n in range(200)], allowed=3)
    connection = leaving(one, stream=stream)
    until(lambda: teacher.came == 4)
    connection.close()
    until(lambda: ending(one) == 1)
    teacher.allowed = ALL  # the reply under way comes
    until(lambda: under_way(one) == (0, 0))
    assert len(teacher.asked) == 4
    teacher.says(FINE)
    assert post(one).status_code == 200, "the place is free again"
    assert len(teacher.asked) == 1


def test_who_leaves_the_queue_is_not_worked_on(start: Callable[..., str], teacher: Scripted) -> None:
    one = start(agent={"concurrency": 1, "queue": 1})
    teacher.says(FINE, allowed=0)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, one)
        until(lambda: under_way(one) == (1, 0))
        connection = leaving(one)
        until(lambda: under_way(one) == (1, 1))
        connection.close()
        until(lambda: under_way(one) == (1, 0))
        teacher.allowed = ALL
        assert first.result().status_code == 200
    assert under_way(one) == (0, 0)
    assert teacher.came == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_after_the_time_for_a_question_there_is_what_was_found(
    start: Callable[..., str], teacher: Scripted, stream: bool
) -> None:
    short = start(agent={"seconds": 1.5}, search={"max_calls": 200, "max_depth": 200})
    teacher.says(*[calling("rain_for_sky", {"city": f"c{n}"}) for n in range(200)], delay=0.1)
    answer = post(short, stream=stream)
    assert under_way(short) == (0, 0)
    seen = len(teacher.asked)
    assert answer.status_code == 200
    assert "No answer was found (no answer within 1.5 seconds)." in answer.text
    if not stream:
        made = answer.json()
        assert made["choices"][0]["finish_reason"] == "length"
        assert made["usage"]["total_tokens"] in (110 * seen, 110 * (seen - 1))
        assert made["toolbench"]["steps"]
    assert len(teacher.asked) == seen


# Failures of the model


def test_a_model_that_is_gone_is_an_error_with_a_status_or_in_the_stream(start: Callable[..., str]) -> None:
    gone = start(teacher={"base_url": "http://127.0.0.1:9/v1"})
    with pytest.raises(openai.APIStatusError) as raised:
        client(gone).chat.completions.create(**ASKED)
    assert (raised.value.status_code, raised.value.code) == (502, "model_unavailable")
    assert raised.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(openai.APIError, match="cannot be reached"):
        list(client(gone).chat.completions.create(**ASKED, stream=True))


def test_an_empty_budget_is_an_empty_budget(start: Callable[..., str], teacher: Scripted) -> None:
    poor = start(teacher={"budget_calls": 1, "model": "poor"})
    teacher.says(RAIN, FINE)
    with pytest.raises(openai.RateLimitError) as raised:
        client(poor).chat.completions.create(**ASKED)
    assert raised.value.code == "insufficient_quota"


def test_a_bug_is_told_without_its_details(
    start: Callable[..., str], place: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("inner secret")

    fresh = start()
    monkeypatch.setattr(place.found, "find", broken)
    for stream in (False, True):
        answer = post(fresh, stream=stream)
        assert answer.status_code == 500
        assert "secret" not in answer.text
    assert "inner secret" in caplog.text


def test_questions_are_answered_side_by_side(start: Callable[..., str], teacher: Scripted) -> None:
    many = start(agent={"concurrency": 8})
    teacher.says(FINE, allowed=0)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(post, many) for _ in range(8)]
        until(lambda: teacher.came == 8)
        teacher.allowed = ALL
        assert [answer.result().status_code for answer in answers] == [200] * 8
