"""Where the default rules differ from ToolBench's, and what every search promises."""

import asyncio
import json
import sys

import pytest
from scripted import ANSWER, GIVE_UP, World, says, task

from toolbench.dialogue import INVENTED, Message
from toolbench.errors import UsageError
from toolbench.records import Reply, Response
from toolbench.solutions import Rules, preset, search, training_samples

CALL = ("rain_for_weather", {"city": "Bonn"})
OTHER = ("rate_for_money", {})


def test_the_reply_that_reaches_the_budget_is_used_by_default_only() -> None:
    replies = [says(None, CALL), says(None, ANSWER)]
    used = World(replies).search(Rules(max_calls=2))
    assert (used.outcome, used.final_answer, used.replies) == ("solved", "It will rain.", 2)
    thrown = World(replies).search(preset("toolbench", max_calls=2))
    assert (thrown.outcome, thrown.replies, thrown.path) == ("out_of_budget", 2, [])
    assert thrown.stopped_at == 1


def test_an_empty_answer_stays_empty_and_an_api_may_answer_by_its_status() -> None:
    empty = World([says(None, ("Finish", {"return_type": "give_answer", "final_answer": ""}))]).search(Rules())
    assert (empty.outcome, empty.final_answer) == ("solved", "")
    by_status = World([says(None, CALL)], lambda _: Response(status=3)).search(Rules())
    assert (by_status.outcome, by_status.final_answer) == ("solved", '{"city": "Bonn"}')


def test_a_spent_budget_stops_every_branch() -> None:
    result = World([says(None, CALL)]).search(Rules(max_calls=5, max_depth=100, width=3))
    assert (result.outcome, result.replies, len(result.calls)) == ("out_of_budget", 5, 5)
    assert result.reason == "no answer within 5 replies"


@pytest.mark.parametrize("finish", [ANSWER, GIVE_UP])
def test_finish_ends_a_turn_with_several_calls_wherever_it_stands(finish: tuple[str, object]) -> None:
    world = World([says("both", CALL, finish, OTHER)])
    result = world.search(Rules())
    assert [step.function for step in result.steps[1:]] == ["rain_for_weather", "Finish"]
    assert result.outcome == ("solved" if finish is ANSWER else "gave_up")
    assert [step.turn for step in result.steps[1:]] == [1, 1]
    assert [step.depth for step in result.steps] == [0, 3, 5]
    assert len(training_samples(result, Rules())[0][-1]["tool_calls"]) == 2


def test_toolbench_carries_out_calls_after_finish_and_judges_the_last() -> None:
    world = World([says(None, GIVE_UP, CALL), says(None, ANSWER, OTHER)])
    result = world.search(preset("toolbench"))
    assert [name for name, _ in world.called] == ["rain_for_weather", "rate_for_money"]
    assert (result.outcome, result.final_arguments) == ("solved", "{}")
    assert result.give_ups == []


def test_diversity_lists_every_call_of_an_earlier_reply_by_default_only() -> None:
    replies = [says(None, CALL, OTHER), says(None, GIVE_UP), says(None, ANSWER)]
    for rules, listed in ((Rules(), 2), (preset("toolbench"), 1)):
        world = World(replies)
        world.search(rules)
        asked = world.requests[2][-1]["content"]
        assert len(json.loads(asked.partition("```json\n")[2].partition("\n```")[0])) == listed


@pytest.mark.parametrize(
    ("rules", "requested", "trained"),
    [
        (Rules(), ["X", "X", "X"], [["X", "X", "X"]]),
        (preset("toolbench"), ["X", "b", "c"], [["X", "X", "X"], ["X", "b", "c"], ["X", "b", "c"]]),
        (preset("toolbench", method="react"), ["X", "X", "X"], [["X", "X", "X"]] * 3),
    ],
)
def test_invented_names_are_replaced_in_every_call_but_not_by_toolbench(
    rules: Rules, requested: list[str], trained: list[list[str]]
) -> None:
    def names(message: Message) -> list[str]:
        return [call["function"]["name"].replace(INVENTED, "X") for call in message["tool_calls"]]

    world = World([says(None, ("a", {}), ("b", {}), ("c", {})), says(None, ANSWER)])
    result = world.search(rules)
    assert [step.function for step in result.steps[1:4]] == ["a", "b", "c"]
    said, *observations = world.requests[1][2:]
    assert names(said) == requested
    headings = [seen.get("name", name) for seen, name in zip(observations, names(said), strict=True)]
    assert [name.replace(INVENTED, "X") for name in headings] == ["X", "X", "X"]
    assert [names(sample[-1]) for sample in training_samples(result, rules)[:-1]] == trained


def test_samples_are_requests_with_their_answers_by_default() -> None:
    world = World([says("t"), says("u", CALL), says(None, GIVE_UP), says("v", OTHER), says(None, ANSWER)])
    result = world.search(Rules())
    samples = training_samples(result, Rules())
    assert [sample[:-1] for sample in samples] == [world.requests[0], world.requests[3], world.requests[4]]
    repeated = training_samples(result, preset("toolbench"))
    assert [sample[-1]["content"] for sample in repeated] == ["t", "t", "v", None]
    hidden = [any("already tried" in (m["content"] or "") for m in sample) for sample in repeated]
    assert hidden == [False, False, True, True]


def test_a_turn_with_several_calls_gives_one_sample_by_default_and_one_a_call_in_toolbench() -> None:
    for rules, lengths in ((Rules(), [3, 6]), (preset("toolbench"), [3, 3, 6])):
        result = World([says("both", CALL, OTHER), says(None, ANSWER)]).search(rules)
        samples = training_samples(result, rules)
        assert [len(sample) for sample in samples] == lengths
        assert [call["function"]["name"] for call in samples[0][-1]["tool_calls"]] == [CALL[0], OTHER[0]]


@pytest.mark.parametrize("reply", [Reply(error="HTTP 500"), Reply(), Reply(reasoning="hm")])
@pytest.mark.parametrize("name", ["default", "toolbench"])
def test_a_failed_or_empty_reply_is_a_pruned_step_that_nobody_sees(reply: Reply, name: str) -> None:
    world = World([says(None, CALL), reply, says(None, ANSWER)])
    result = world.search(preset(name))
    assert [(step.status, step.pruned) for step in result.steps[1:]] == [(0, False), (-1, True), (3, False)]
    assert world.requests[1] == world.requests[2]
    assert result.path == [1, 3]


@pytest.mark.parametrize("method", ["dfsdt", "react", "ranked"])
def test_a_teacher_that_always_fails_ends_the_search(method: str) -> None:
    result = World([Reply(error="HTTP 401")]).search(Rules(method=method, max_calls=50))
    assert (result.outcome, result.reason) == ("failed", "the teacher failed: HTTP 401")


def test_ranking_keeps_within_the_budget_and_enters_what_was_sampled() -> None:
    world = World([says(None, CALL), says(None, ANSWER), says("A"), says("A")])
    result = world.search(Rules(method="ranked", max_calls=3))
    assert (result.outcome, result.replies) == ("solved", 3)


@pytest.mark.parametrize("budget", range(1, 12))
def test_ranking_never_passes_the_budget(budget: int) -> None:
    result = World([says("thinking")]).search(Rules(method="ranked", max_calls=budget, width=3))
    assert (result.outcome, result.replies) == ("out_of_budget", budget)


def test_ranking_enters_the_better_reply_first() -> None:
    world = World([says(None, CALL), says(None, OTHER), says("B"), says("Candidate a"), says(None, ANSWER)])
    result = world.search(Rules(method="ranked", max_calls=6))
    assert [result.steps[number].function for number in result.visited[:2]] == [None, "rate_for_money"]
    assert world.tools[2] is None


def test_react_starts_afresh_and_stops_at_the_first_answer() -> None:
    world = World([says(None, CALL), says(None, GIVE_UP), says(None, ANSWER)])
    result = world.search(Rules(method="react", tries=5))
    assert (result.outcome, result.tries, result.path) == ("solved", 2, [3])
    assert world.requests[2] == world.requests[0]


def test_react_has_no_path_when_every_try_gave_up() -> None:
    result = World([says(None, GIVE_UP)]).search(Rules(method="react", tries=3))
    assert (result.outcome, result.tries, result.path) == ("gave_up", 3, [])
    assert result.reason == "the teacher gave up"
    assert len(result.give_ups) == 3


def test_a_deep_chain_meets_no_recursion_limit() -> None:
    depth = sys.getrecursionlimit() * 2
    world = World([says(None, CALL)] * depth + [says(None, ANSWER)])
    assert world.search(Rules(max_depth=10 * depth, max_calls=10 * depth)).outcome == "solved"


def test_requests_share_messages_and_keep_reasoning_apart() -> None:
    thinking = Reply(content="look", reasoning="secret", calls=says(None, CALL).calls)
    world = World([thinking, says(None, CALL), says(None, ANSWER)])
    result = world.search(Rules())
    assert result.steps[1].reasoning == "secret"
    assert "secret" not in json.dumps(world.requests)
    assert world.requests[1][2] is world.requests[2][2]


def test_api_calls_come_in_order_with_uncut_responses() -> None:
    def respond(number: int) -> Response:
        return Response(response="x" * 5000, status=9, source="recorded")

    result = World([says(None, ("rain_for_weather", '{"b": 1, "a": 2}'), OTHER), says(None, ANSWER)], respond).search(
        Rules(max_observation_length=20)
    )
    first = result.calls[0]
    assert (first.step, first.api_id, first.arguments) == (1, "api/rain_for_weather", '{"a":2,"b":1}')
    assert len(first.response.response) == 5000
    step = result.steps[1]
    assert (step.observation, step.status, step.source) == ('{"error": "", "respo...', 9, "recorded")
    assert (result.input_tokens, result.output_tokens, result.cost) == (20, 4, 1.0)


@pytest.mark.parametrize("error", [RuntimeError("bug"), asyncio.CancelledError()])
def test_what_the_teacher_or_an_api_raises_passes_through(error: BaseException) -> None:
    async def ask(*_: object) -> Reply:
        raise error

    async def call(*_: object) -> Response:
        raise error

    async def run(asked: object, called: object) -> None:
        with pytest.raises(type(error)):
            await search(task(), asked, called, Rules())  # type: ignore[arg-type]

    asyncio.run(run(ask, call))
    asyncio.run(run(World([says(None, CALL)]).ask, call))


def test_text_format_needs_no_tool_calling() -> None:
    world = World([says('Thought: look\nAction: rain_for_weather\nAction Input: {"city": "Bonn"}\nObservation: sunny')])
    world.replies.append(says(f"Thought: done\nAction: Finish\nAction Input: {json.dumps(ANSWER[1])}"))
    result = world.search(Rules(text_format=True))
    assert result.outcome == "solved"
    assert world.tools == [None, None]
    assert '"rate_for_money"' in world.requests[0][0]["content"]
    assert [message["role"] for message in world.requests[1]] == ["system", "user", "assistant", "user"]
    assert world.requests[1][2]["content"] == says("Thought: look\nAction: rain_for_weather\n").content + (
        'Action Input: {"city": "Bonn"}'
    )
    assert world.requests[1][3]["content"].startswith('Observation: {"error"')


def test_the_system_prompt_names_tools_and_the_task_prompt_the_instruction() -> None:
    world = World([says(None, ANSWER)])
    world.search(Rules(), tools=[("weather", "Forecasts & more")])
    assert "- weather: Forecasts & more" in world.requests[0][0]["content"]
    assert world.requests[0][1]["content"] == "Will it rain?"
    assert [tool["function"]["name"] for tool in world.tools[0] or []][-1] == "Finish"


@pytest.mark.parametrize("field", ["width", "max_depth", "max_calls", "answers", "tries", "max_observation_length"])
def test_limits_below_one_are_refused(field: str) -> None:
    with pytest.raises(UsageError, match=field):
        preset("toolbench", **{field: 0})


def test_unknown_methods_and_presets_are_refused() -> None:
    with pytest.raises(UsageError, match="bfs"):
        Rules(method="bfs")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="gorilla"):
        preset("gorilla")  # type: ignore[arg-type]
