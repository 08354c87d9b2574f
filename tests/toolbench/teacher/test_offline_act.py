"""The acting turn of the offline teacher against small scripted worlds."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from toolbench.teacher.offline import Faults, complete

Message = dict[str, Any]
World = Callable[[str, dict[str, Any]], str]


def tool(
    name: str, description: str, required: list[str] | None = None, **properties: dict[str, Any]
) -> dict[str, Any]:
    required = list(properties) if required is None else required
    schema = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TEXT, NUMBER = {"type": "string"}, {"type": "number"}
FINISH = tool("Finish", "Ends the task.", ["return_type"], return_type=TEXT, final_answer=TEXT)
DISTANCE = tool("distance_for_geo", "Great-circle distance between two places.", **{"from": TEXT, "to": TEXT})
ZONE = tool("time_zone_for_geo", "Returns the IANA time zone of a place.", place=TEXT)
WEATHER = tool("weather_for_sky", "Current weather at a position.", latitude=NUMBER, longitude=NUMBER)
GEOCODE = tool("geocode_for_geo", "Find the latitude and longitude of a city.", city=TEXT)
LOAN = tool(
    "loan_for_bank", "Monthly payment of a loan.", principal=NUMBER, annual_rate=NUMBER, years={"type": "integer"}
)
MIRROR = tool("route_length_for_maps", "Distance between two places along a great circle.", start=TEXT, end=TEXT)
TASK = (
    "I'm preparing a quiz. Could you find the great-circle distance between Paris and Tokyo, "
    "and tell me the time zone of Tokyo?"
)


def good(response: Any) -> str:
    return json.dumps({"error": "", "response": response})


def bad(error: str) -> str:
    return json.dumps({"error": error, "response": ""})


def reply(messages: list[Message], tools: list[dict[str, Any]], faults: Faults | None = None, **more: Any) -> Message:
    message: Message = complete({"model": "m", "messages": messages, "tools": tools, **more}, faults)["choices"][0][
        "message"
    ]
    return message


def called(message: Message) -> tuple[str, dict[str, Any]]:
    (call,) = message["tool_calls"]
    return call["function"]["name"], json.loads(call["function"]["arguments"])


def start(task: str) -> list[Message]:
    return [{"role": "system", "content": "Act."}, {"role": "user", "content": task}]


def play(
    task: str, tools: list[dict[str, Any]], world: World
) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, Any]]:
    """Plays until `Finish`: the calls made and the arguments of `Finish`."""
    messages, calls = start(task), []
    for _ in range(12):
        message = reply(messages, [*tools, FINISH])
        name, arguments = called(message)
        if name == "Finish":
            return calls, arguments
        calls.append((name, arguments))
        observed = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": world(name, arguments)}
        messages += [message, observed]
    raise AssertionError("the teacher never finished")


def test_calls_what_is_asked_for_and_answers_from_what_it_saw() -> None:
    answers = {"distance_for_geo": {"distance_km": 9713.9}, "time_zone_for_geo": {"time_zone": "Asia/Tokyo"}}
    calls, finish = play(TASK, [WEATHER, LOAN, ZONE, DISTANCE], lambda name, _: good(answers[name]))
    assert calls == [
        ("distance_for_geo", {"from": "Paris", "to": "Tokyo"}),
        ("time_zone_for_geo", {"place": "Tokyo"}),
    ]
    assert finish["return_type"] == "give_answer"
    assert "9713.9 km" in finish["final_answer"]
    assert "Asia/Tokyo" in finish["final_answer"]
    assert "{" not in finish["final_answer"]


def test_numbers_go_to_the_parameters_they_are_named_for() -> None:
    task = "Please work out the monthly payment of a loan over 10 years at an annual rate of 4.5, principal 12,000."
    calls, _ = play(task, [LOAN, DISTANCE], lambda *_: good({"payment": 124.4}))
    assert calls == [("loan_for_bank", {"principal": 12000, "annual_rate": 4.5, "years": 10})]


def test_a_missing_coordinate_is_looked_up_first_and_taken_from_the_observation() -> None:
    def world(name: str, arguments: dict[str, Any]) -> str:
        return good({"results": [{"lat": 59.91, "lon": 10.75}]} if name == "geocode_for_geo" else {"weather": "rain"})

    calls, finish = play("What is the current weather in Oslo?", [WEATHER, GEOCODE], world)
    assert calls == [
        ("geocode_for_geo", {"city": "Oslo"}),
        ("weather_for_sky", {"latitude": 59.91, "longitude": 10.75}),
    ]
    assert "rain" in finish["final_answer"]


@pytest.mark.parametrize(
    "failure", [bad("timeout"), good({"error": "quota used up"}), good("<html>502</html>"), good([])]
)
def test_an_error_leads_to_another_function(failure: str) -> None:
    task = "Find the great-circle distance between Paris and Tokyo."
    calls, finish = play(
        task,
        [DISTANCE, MIRROR, LOAN],
        lambda name, _: good({"distance": 9714}) if name != "distance_for_geo" else failure,
    )
    assert [name for name, _ in calls] == ["distance_for_geo", "route_length_for_maps"]
    assert calls[1][1] == {"start": "Paris", "end": "Tokyo"}
    assert finish["return_type"] == "give_answer"


def test_blamed_arguments_are_changed_once() -> None:
    calls, _ = play(
        "Find the time zone of Springfield, please, or of Chicago.",
        [ZONE],
        lambda _, arguments: (
            good({"time_zone": "US/Central"}) if arguments["place"] == "Chicago" else bad("invalid place")
        ),
    )
    assert [arguments["place"] for _, arguments in calls] == ["Springfield", "Chicago"]


def test_gives_up_when_nothing_is_left() -> None:
    calls, finish = play(TASK, [DISTANCE, ZONE], lambda *_: bad("service unavailable"))
    assert len(calls) == 2
    assert finish == {"return_type": "give_up_and_restart"}


def test_a_cut_observation_is_read_as_far_as_it_goes() -> None:
    whole = good({"time_zone": "Asia/Tokyo", "notes": "x" * 4000})
    _, finish = play("Tell me the time zone of Tokyo.", [ZONE], lambda *_: whole[:1024] + "...")
    assert "Asia/Tokyo" in finish["final_answer"]


def diversity(*tried: tuple[str, dict[str, Any], str]) -> Message:
    listed = [
        {"name": n, "arguments": json.dumps(a), "function_output": o, "mento-carlo-action-value": 0.0}
        for n, a, o in tried
    ]
    return {"role": "user", "content": f"Do something else than:\n{json.dumps(listed, indent=2)}\nGo on."}


def test_what_a_diversity_message_lists_is_not_done_again() -> None:
    first = called(reply(start(TASK), [DISTANCE, ZONE, FINISH]))
    other = called(reply([*start(TASK), diversity((*first, good({"distance": 1})))], [DISTANCE, ZONE, FINISH]))
    assert other == ("time_zone_for_geo", {"place": "Tokyo"})


def test_when_nothing_new_is_possible_it_answers_with_what_it_has_or_gives_up() -> None:
    tools = [DISTANCE, ZONE, FINISH]
    tried = diversity(("time_zone_for_geo", {"place": "Tokyo"}, bad("HTTP 404: no such endpoint")))
    first = reply(start(TASK), tools)
    seen = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": good({"distance_km": 9713.9})}
    name, arguments = called(reply([*start(TASK), first, seen, tried], tools))
    assert (name, arguments["return_type"]) == ("Finish", "give_answer")
    assert "9713.9" in arguments["final_answer"]
    assert "could not" in arguments["final_answer"]

    seen = {**seen, "content": bad("HTTP 404: no such endpoint")}
    name, arguments = called(reply([*start(TASK), first, seen, tried], tools))
    assert (name, arguments) == ("Finish", {"return_type": "give_up_and_restart"})


def test_a_new_start_makes_a_call_once_more_that_failed_for_a_passing_reason() -> None:
    tools, call = [DISTANCE, ZONE, FINISH], ("time_zone_for_geo", {"place": "Tokyo"})
    first = reply(start(TASK), tools)
    seen = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": good({"distance_km": 9713.9})}
    for error in ("HTTP 429: too many requests", "The call timed out", "HTTP 500: Internal Server Error"):
        once = diversity((*call, bad(error)))
        assert called(reply([*start(TASK), first, seen, once], tools)) == call
        twice = diversity((*call, bad(error)), (*call, bad(error)))
        assert called(reply([*start(TASK), first, seen, twice], tools))[1] == {"return_type": "give_up_and_restart"}


def test_an_answer_tells_what_a_sibling_branch_observed() -> None:
    tools = [DISTANCE, ZONE, FINISH]
    tried = diversity(("time_zone_for_geo", {"place": "Tokyo"}, good({"time_zone": "Asia/Tokyo"})))
    first = reply(start(TASK), tools)
    seen = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": good({"distance_km": 9713.9})}
    name, arguments = called(reply([*start(TASK), first, seen, tried], tools))
    assert (name, arguments["return_type"]) == ("Finish", "give_answer")
    assert "9713.9" in arguments["final_answer"]
    assert "Asia/Tokyo" in arguments["final_answer"]
    assert "could not" not in arguments["final_answer"]


def test_tool_choice_is_honoured() -> None:
    tools = [DISTANCE, ZONE]
    assert "tool_calls" not in reply(start(TASK), [*tools, FINISH], tool_choice="none")
    named = {"type": "function", "function": {"name": "time_zone_for_geo"}}
    assert called(reply(start(TASK), tools, tool_choice=named)) == ("time_zone_for_geo", {"place": "Tokyo"})
    finish = {"type": "function", "function": {"name": "Finish"}}
    assert called(reply(start(TASK), [*tools, FINISH], tool_choice=finish))[0] == "Finish"
    assert called(reply(start("Hello!"), tools, tool_choice="required"))


def test_without_finish_the_answer_is_the_content() -> None:
    message = reply(start("Tell me the time zone of Tokyo."), [ZONE])
    seen = {
        "role": "tool",
        "tool_call_id": message["tool_calls"][0]["id"],
        "content": good({"time_zone": "Asia/Tokyo"}),
    }
    last = reply([*start("Tell me the time zone of Tokyo."), message, seen], [ZONE])
    assert "tool_calls" not in last
    assert "Asia/Tokyo" in last["content"]


def test_faults_of_a_call() -> None:
    tools = [DISTANCE, ZONE, FINISH]
    name, _ = called(reply(start(TASK), tools, Faults(hallucination_rate=1)))
    assert name not in {item["function"]["name"] for item in tools}
    message = reply(start(TASK), tools, Faults(malformed_rate=1))
    with pytest.raises(json.JSONDecodeError):
        called(message)
    refused = reply(start(TASK), tools, Faults(refusal_rate=1))
    assert refused["content"] is None
    assert refused["refusal"]
    assert "tool_calls" not in refused
