"""Recorded runs of the reference search, replayed: `TOOLBENCH_CONFORMANCE`, or `shared/conformance` beside the repo."""

import asyncio
import json
import os
import re
from itertools import chain, groupby, repeat
from pathlib import Path
from typing import Any

import pytest

from toolbench.records import FunctionCall, Reply, Response
from toolbench.solutions import SearchResult, Task, preset, search, training_samples

PLACE = Path(os.environ.get("TOOLBENCH_CONFORMANCE") or Path(__file__).parents[4] / "shared" / "conformance")
FILES = sorted((PLACE / "dfsdt").rglob("*.json"))
REFERENCE_BUGS = ("edge_selfloop_", "edge_crash_")
FENCE = re.compile(r"```json\n(.*?)\n```", re.DOTALL)

pytestmark = pytest.mark.skipif(not FILES, reason=f"no conformance files under {PLACE}; set TOOLBENCH_CONFORMANCE")


class Scripted(Response):
    """A response whose envelope is the recorded observation, JSON or not."""

    @property
    def envelope(self) -> str:
        return str(self.response)


class Replay:
    """Gives out the recorded replies and observations in order and notes what was asked."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.replies = iter(case["replies"])
        self.going_on = False
        self.observations = iter(case["env_script"])
        self.requests: list[list[dict[str, Any]]] = []

    def go_on(self) -> None:
        """Where ours goes another way than the reference, the script goes on: empty replies, empty observations."""
        self.going_on = True
        self.replies = chain(self.case["replies"], repeat({"for": None, "content": None}))
        self.observations = chain(self.case["env_script"], repeat({"observation": "", "status": 0}))

    async def ask(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, turn: int) -> Reply:
        self.requests.append(messages)
        assert turn == len(self.requests)
        reply = next(self.replies)
        assert (reply["for"] == "rank") == (tools is None) or self.going_on
        return _reply(reply)

    async def call(self, function: str, arguments: dict[str, Any] | str) -> Response:
        step = next(self.observations)
        return Scripted(response=step["observation"], status=step["status"])

    def search(self, name: str) -> SearchResult:
        params = self.case["params"]
        method = "react" if self.case["algorithm"] == "CoT" else "ranked" if params["with_filter"] else "dfsdt"
        self.rules = preset(
            name,
            method=method,
            width=params.get("tree_beam_size", 1),
            max_depth=params["single_chain_max_step"],
            max_calls=params.get("max_query_count", 60),
            answers=params["answer"],
            tries=params.get("pass_at", 1),
            max_observation_length=self.case["max_observation_length"],
        )
        functions = [_plain(function) for function in self.case["functions"]]
        definitions = [function for function in functions if function["name"] != "Finish"]
        task = Task(
            instruction=self.case["input_description"],
            definitions=definitions,
            functions={function["name"]: f"api/{function['name']}" for function in definitions},
            seed=self.case["expected"].get("random", {}).get("seed", 0),
        )
        return asyncio.run(search(task, self.ask, self.call, self.rules))


def _plain(function: dict[str, Any]) -> dict[str, Any]:
    return function.get("function", function)


def _reply(reply: dict[str, Any]) -> Reply:
    if reply.get("error_code"):
        return Reply(error=reply["content"] or "failed")
    calls = [FunctionCall(id=f"c{n}", **call) for n, call in enumerate(_calls(reply))]
    return Reply(content=reply.get("content"), calls=calls)


def _calls(message: dict[str, Any]) -> list[dict[str, str]]:
    """A recorded message's calls: several under `tool_calls`, or the one of the older `function_call`."""
    made = message.get("tool_calls") or [message.get("function_call")]
    return [{"name": call["name"], "arguments": call["arguments"]} for call in made if call]


def _seen(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Our messages as the files describe them: kinds, calls without ids, the parsed diversity and rank prompts."""
    seen: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for place, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role == "assistant":
            calls = [call["function"] for call in message.get("tool_calls", [])]
            names |= {call["id"]: call["function"]["name"] for call in message.get("tool_calls", [])}
            seen.append({"kind": "assistant", "content": content, "calls": calls})
        elif role == "tool":
            name = message.get("name", names[message["tool_call_id"]])
            seen.append({"kind": "function", "name": name, "content": content})
        elif role == "system" and "<candidate_a>" in content:
            seen.append({"kind": "rank", **{part: _tagged(content, tag) for part, tag in RANK_PARTS.items()}})
            assert set(json.loads(FENCE.findall(content)[-1])["candidates"]) == {"A", "B"}
        elif role == "user" and place == 1:
            seen.append({"kind": "rank_user" if seen[0]["kind"] == "rank" else "task"})
        elif role == "user":
            former = content.partition("Your last observation was: ")[2] or None
            candidates = json.loads(FENCE.findall(content)[0])
            seen.append({"kind": "diversity", "candidates": candidates, "former_observation": former})
        else:
            seen.append({"kind": role})
    return seen


RANK_PARTS = {"common": "common", "a": "candidate_a", "b": "candidate_b"}


def _tagged(text: str, tag: str) -> str:
    return text.partition(f"<{tag}>\n")[2].partition(f"</{tag}>")[0]


def _described(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The file's messages in the same form."""
    described: list[dict[str, Any]] = []
    for message in messages:
        if message["kind"] == "assistant":
            described.append({"kind": "assistant", "content": message.get("content"), "calls": _calls(message)})
        else:
            described.append({k: v for k, v in message.items() if k not in ("role", "hidden")})
    return described


def _levels(result: SearchResult) -> tuple[list[dict[str, Any]], dict[int, int]]:
    """ToolBench's nodes: a thought is one, a call two. Also where each step ends among them."""
    answered = dict.fromkeys(range(result.replies + 1), False)
    entered = {number: place for place, number in enumerate(result.visited)}
    nodes = [_node("Action Input", "", 0, -1)]
    ends = {0: 0}
    for step in result.steps[1:]:
        parent, depth = ends[step.parent], nodes[ends[step.parent]]["depth"]
        parts = [("Thought", step.thought)] if step.thought is not None else []
        parts += [("Action", step.function), ("Action Input", step.arguments)] if step.function is not None else []
        for kind, text in parts:
            nodes.append(_node(kind, text, depth := depth + 1, parent, is_terminal=answered[step.turn]))
            parent = len(nodes) - 1
        answered[step.turn] |= step.function == "Finish" and step.status == 3
        last = nodes[-1] | {"pruned": step.pruned, "expand_num": entered.get(step.id, 0)}
        last["is_terminal"] = answered[step.turn] or step.status == 3
        last |= {"observation": step.observation} if step.observation else {}
        last |= {"observation_code": step.status} if step.status is not None else {}
        nodes[-1] = last
        assert depth == step.depth
        ends[step.id] = parent
    return nodes, ends


def _node(kind: str, text: str | None, depth: int, parent: int, is_terminal: bool = False) -> dict[str, Any]:
    return {
        "node_type": kind, "description": text, "depth": depth, "pruned": False, "is_terminal": is_terminal,
        "expand_num": 0, "parent": parent,
    }  # fmt: skip


def _nested(nodes: list[dict[str, Any]], top: int) -> dict[str, Any]:
    children = [_nested(nodes, n) for n, node in enumerate(nodes) if node["parent"] == top]
    return {k: v for k, v in nodes[top].items() if k != "parent"} | {"children": children}


def _path(nodes: list[dict[str, Any]], end: int) -> list[int]:
    """Child positions on the way from the root to a node, as the files give paths."""
    path: list[int] = []
    while (parent := nodes[end]["parent"]) >= 0:
        siblings = [n for n, node in enumerate(nodes) if node["parent"] == parent]
        path.insert(0, siblings.index(end))
        end = parent
    return path


def _stripped(tree: dict[str, Any], drop: tuple[str, ...]) -> dict[str, Any]:
    kept = {k: v for k, v in tree.items() if k not in drop}
    return kept | {"children": [_stripped(child, drop) for child in tree.get("children", [])]}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_replays_the_reference(file: Path) -> None:
    case = json.loads(file.read_text(encoding="utf-8"))
    expected = case["expected"]
    replay = Replay(case)
    if file.stem.startswith(REFERENCE_BUGS):
        replay.go_on()
        result = replay.search("toolbench")
        assert result.replies == len(replay.requests)
        return

    result = replay.search("toolbench")
    assert [_seen(request) for request in replay.requests] == [_described(r) for r in expected["llm_requests"]]
    assert next(replay.replies, None) is None
    assert _env_calls(result) == expected["tool_calls"]
    assert result.replies == expected["query_count"]
    assert bool(result.answers) == expected["win"]
    samples = training_samples(result, replay.rules)
    assert [_seen(sample) for sample in samples] == [_described(s) for s in expected["train_messages"] or []]
    assert result.final_arguments == expected["final_answer"]
    assert bool(result.path) == expected["valid_data"]
    nodes, ends = _levels(result)
    if case["algorithm"] == "CoT":
        _check_chains(result, expected, nodes)
    else:
        params = case["params"]
        _check_tree(result, expected, params["answer"], params["with_filter"], nodes, ends)


def _check_tree(
    result: SearchResult,
    expected: dict[str, Any],
    wanted: int,
    ranked: bool,
    nodes: list[dict[str, Any]],
    ends: dict[int, int],
) -> None:
    _mark_finished(result, wanted, ranked, nodes, ends)
    assert _nested(nodes, 0) == expected["tree"]
    assert (_path(nodes, ends[result.path[-1]]) if result.path else None) == expected["chosen_path"]
    assert [_path(nodes, ends[number]) for number in result.answers] == expected["terminal_paths"]
    assert [_path(nodes, ends[number]) for number in result.give_ups] == expected["give_up_paths"]
    outcomes = {"give_answer": ("solved",), "give_up": ("gave_up",), "none": ("failed", "out_of_budget")}
    assert result.outcome in outcomes[expected["outcome"]]
    assert (result.reason == "") == (result.outcome == "solved")
    assert _return_value(result, wanted) == expected["return_value"]


def _mark_finished(
    result: SearchResult, wanted: int, ranked: bool, nodes: list[dict[str, Any]], ends: dict[int, int]
) -> None:
    """ToolBench's `finished`: an answer and what stands above it, up to the third node with an observation; in the
    ranked search also where the climb from a child went on."""
    starts = [ends[step.id] for step in result.steps if step.status == 3]
    if ranked:
        below = result.answers[: wanted - 1] + result.give_ups
        starts += [ends[_before(result, number)] for number in below]
        number = result.stopped_at or 0
        while number:
            number = _before(result, number)
            starts.append(ends[number])
    for node in nodes:
        node["finished"] = False
    for at in starts:
        left = 2
        while at >= 0 and left >= 0:
            nodes[at]["finished"] = True
            left -= nodes[at]["node_type"] == "Action Input"
            at = nodes[at]["parent"]


def _before(result: SearchResult, number: int) -> int:
    """The step that the reply of step `number` was sampled at."""
    turn = result.steps[number].turn
    while result.steps[number].turn == turn:
        number = result.steps[number].parent
    return number


def _return_value(result: SearchResult, wanted: int) -> int:
    """What the reference's recursion returns: enough answers, or the levels climbed after the budget, or 1."""
    if len(result.answers) >= wanted:
        return 10000
    if result.stopped_at is None:
        return 1
    above, number = 0, result.stopped_at
    while number:
        number = _before(result, number)
        above += 1
    return 100000 - above


def _check_chains(result: SearchResult, expected: dict[str, Any], nodes: list[dict[str, Any]]) -> None:
    starts = [n for n, node in enumerate(nodes) if node["parent"] == 0]
    root = {k: v for k, v in nodes[0].items() if k != "parent"}
    chains = [_stripped(root | {"children": [_nested(nodes, n)]}, ("expand_num",)) for n in starts]
    assert chains == [_stripped(tree, ("finished", "expand_num")) for tree in expected["trees"]]
    assert result.tries == expected["try_count"]
    assert (result.outcome == "solved") == (expected["outcome"] == "give_answer")
    assert int(result.outcome == "solved") == expected["return_value"]
    chosen = (
        [child.id for child in result.steps[1:] if child.parent == 0].index(result.path[0]) if result.path else None
    )
    assert chosen == expected["chosen_try"]


def _env_calls(result: SearchResult) -> list[dict[str, Any]]:
    made = [step for step in result.steps if step.function is not None]
    assert [step.id for step in made if step.api_id] == [call.step for call in result.calls]
    return [
        {
            "name": step.function,
            "arguments": step.arguments,
            "resolved": step.api_id.removeprefix("api/") if step.api_id else "Finish" if step.status != 1 else None,
            "observation": step.observation,
            "status": step.status,
        }
        for step in made
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_default_rules_end_every_recorded_run(file: Path) -> None:
    case = json.loads(file.read_text(encoding="utf-8"))
    replay = Replay(case)
    replay.go_on()
    result = replay.search("default")
    assert result.replies <= (case["params"].get("max_query_count") or 10**9)
    samples = training_samples(result, replay.rules)
    assert len(samples) == len(list(groupby(result.path, key=lambda number: result.steps[number].turn)))
    assert all(sample[:-1] in replay.requests for sample in samples)
