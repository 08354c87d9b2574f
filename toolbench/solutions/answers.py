"""Solutions in ToolBench's answer layout, one JSON document each, and back.

    {"win", "forward_args", "compare_candidates", "tree": {"size", "max_length", "tree": {…}},
     "answer_generation": {"valid_data", "final_answer", "finish_type", "function", "query_count", "total_tokens",
                           "train_messages", "chain", "query"}}

Chains (`react`) have `trys`, a list of {"chain": [nodes], "win"}, and `try_count` in place of `tree`.

What the layout has no field for stands in two keys of ours, which ToolBench's programs ignore: `solution` (the row but
for its steps) and `step` on nodes. Without them, as in ToolBench's own files, these are lost: who a step was answered
by, reasoning content, the model, input and output tokens apart (all count as input), cost, seed; in chains, whether a
thought and the call after it were one reply. Neither way keeps API responses before they were cut. Messages are written
one call a turn, in our prompts' words, with the message that asks for another way marked `valid: false`.

`answer_reading` reads them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from toolbench.dialogue import FINISH_DEFINITION, Message
from toolbench.records import Solution
from toolbench.solutions import answer_tree, messages
from toolbench.solutions.calls import ANSWERED, GAVE_UP
from toolbench.solutions.messages import Task
from toolbench.solutions.rules import Rules, preset
from toolbench.solutions.search import SearchResult
from toolbench.solutions.training import training_samples
from toolbench.solutions.tree import Tree

_OURS = tuple(f.name for f in dataclasses.fields(Solution) if f.name != "steps")
_GIVE_ANSWER, _GIVE_UP = "give_answer", "give_up"


def to_answer(solution: Solution, task: Task, rules: Rules, *, marked: bool = True) -> dict[str, Any]:
    """A solution as a document; `rules` are those of its search.

    `marked`: with our own keys, so that `from_answer` gives back the very solution.
    """
    ranked = rules.method == "ranked"
    written = answer_tree.write(solution.steps, ranked, marked)
    answers = [s.id for s in solution.steps if s.status == ANSWERED and not s.pruned]
    document: dict[str, Any] = {"win": bool(answers)}
    if rules.method == "react":
        chains = _chains(written.root, bool(answers))
        document |= {"try_count": len(chains), "trys": chains}
        limits = {"single_chain_max_step": rules.max_depth, "pass_at": rules.tries, "answer": rules.answers}
    else:
        nodes = list(written.nodes())
        longest = 1 + max(node["depth"] for node in nodes)
        document["tree"] = {"size": len(nodes), "max_length": longest, "tree": written.root}
        limits = {
            "single_chain_max_step": rules.max_depth, "tree_beam_size": rules.width,
            "max_query_count": rules.max_calls, "answer": rules.answers, "with_filter": ranked,
        }  # fmt: skip
    document["forward_args"] = limits
    document["compare_candidates"] = [written.chain(number) for number in answers]
    document["answer_generation"] = _generation(solution, task, rules)
    if marked:
        document["solution"] = {name: getattr(solution, name) for name in _OURS}
    return document


def _chains(root: dict[str, Any], won: bool) -> list[dict[str, Any]]:
    chains = []
    for node in root["children"]:
        chain = [node]
        while chain[-1]["children"]:
            chain.append(chain[-1]["children"][0])
        chains.append({"chain": [{k: v for k, v in n.items() if k != "children"} for n in chain], "win": False})
    if won and chains:
        chains[-1]["win"] = True
    return chains


def _generation(solution: Solution, task: Task, rules: Rules) -> dict[str, Any]:
    """An answer, or a give-up where one was chosen; where nothing was, `finish_type` is as ToolBench leaves it."""
    chosen = solution.steps[solution.path[-1]] if solution.path else None
    samples = train_messages(solution, task, rules) if chosen else None
    return {
        "valid_data": chosen is not None,
        "query_count": solution.calls,
        "total_tokens": solution.input_tokens + solution.output_tokens,
        "final_answer": (chosen.arguments or "") if chosen else "",
        "finish_type": _GIVE_UP if chosen and chosen.status == GAVE_UP else _GIVE_ANSWER,
        "function": [native_function(d) for d in task.definitions] + [FINISH_DEFINITION],
        "chain": [],
        **({} if samples is None else {"train_messages": samples}),
        "query": task.instruction,
    }


def native_function(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A function definition with what ToolBench's have besides: `optional`, and one `example_value` a parameter."""
    shape = definition.get("parameters")
    if not isinstance(shape, dict):
        return dict(definition)
    properties = {name: _with_example(value) for name, value in shape.get("properties", {}).items()}
    required = shape.get("required", [])
    optional = shape.get("optional", [name for name in properties if name not in required])
    changed = {**shape, "properties": properties, "required": required, "optional": optional}
    return {**definition, "parameters": changed}


def _with_example(value: Any) -> Any:
    if not isinstance(value, dict) or "example_value" in value or not value.get("examples"):
        return value
    return {**{k: v for k, v in value.items() if k != "examples"}, "example_value": value["examples"][0]}


def train_messages(solution: Solution, task: Task, rules: Rules) -> list[list[Message]]:
    """ToolBench's samples along the chosen path: `function_call`, and one call a turn."""
    samples = training_samples(_result(solution, task, rules), preset("toolbench", method=rules.method))
    return [_native_sample(sample) for sample in samples]


def _native_sample(sample: Sequence[Message]) -> list[Message]:
    out: list[Message] = []
    name = ""
    for number, message in enumerate(sample):
        role = message["role"]
        if role == "tool":
            out.append({"role": "function", "name": message.get("name", name), "content": message["content"]})
        elif role == "assistant" and "tool_calls" in message:
            call = message["tool_calls"][0]["function"]
            name = call["name"]
            out.append({"role": role, "content": message["content"], "function_call": dict(call)})
        else:
            asked_again = {"valid": False} if role == "user" and number > 1 else {}
            out.append({"role": role, "content": message["content"], **asked_again})
    return out


def _result(solution: Solution, task: Task, rules: Rules) -> SearchResult:
    """The search as far as its samples need it: each call a turn of its own, and what asked for another way."""
    opening = messages.opening(task, dataclasses.replace(rules, text_format=False))
    tree, diversity = Tree(opening), {}
    for step in solution.steps[1:]:
        above = tree.nodes[step.parent]
        asked = None if rules.method == "react" or above.turn == step.turn else messages.diversity(above, False)
        if asked:
            diversity[step.id] = asked
        tree.add(
            above, turn=step.turn, levels=step.depth - above.depth, thought=step.thought, function=step.function,
            arguments=step.arguments, observation=step.observation, status=step.status,
        )  # fmt: skip
    return SearchResult(
        outcome=solution.outcome, reason=solution.reason, final_answer=solution.final_answer, final_arguments="",
        steps=[dataclasses.replace(step, turn=step.id) for step in solution.steps], path=solution.path, answers=[],
        give_ups=[], visited=[], stopped_at=None, replies=solution.calls, tries=1, input_tokens=solution.input_tokens,
        output_tokens=solution.output_tokens, cost=solution.cost, calls=[], opening=opening, diversity=diversity,
    )  # fmt: skip
