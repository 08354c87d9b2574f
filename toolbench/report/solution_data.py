"""What the page of one solution shows, as plain values: its tree, its calls, its judgments, its training sample."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from toolbench.records import Conversation, Solution, Step
from toolbench.report.clipping import Clip, fitted
from toolbench.report.timings import Timings
from toolbench.report.trees import Branch, StepView, events, tried_again

Call = Mapping[str, Any]
"""A row of `api_calls`, as plain values."""


def tree(solution: Solution, calls: Sequence[Call], times: Timings | None) -> dict[str, Any]:
    """The solution with its steps as a page shows them.

    Their `order`: 0 is the next step, a list opens a branch (number, of how many, steps in it, how it ended, whether it
    is on the path), -1 ends the branch that was opened last.

    `calls`: its API calls in the order they were made. Times are left out where the journal does not fit the search,
    as where a later toolbench searched with the same journal.
    """
    return fitted(lambda clip: _tree(solution, calls, times, clip))  # type: ignore[no-any-return]


def _tree(solution: Solution, calls: Sequence[Call], times: Timings | None, clip: Clip) -> dict[str, Any]:
    replies = times.replies if times and len(times.replies) == solution.calls else []
    waited = times.calls if times and len(times.calls) == len(calls) else [None] * len(calls)
    made = {call["step"]: (call, seconds) for call, seconds in zip(calls, waited, strict=True)}
    shown: list[dict[str, Any]] = []
    order: list[Any] = []
    told: set[int] = set()
    for event in events(solution):
        if isinstance(event, StepView):
            step = event.step
            reply = replies[step.turn - 1] if 0 < step.turn <= len(replies) and step.turn not in told else None
            told.add(step.turn)
            shown.append(_step(event, made.get(step.id), reply, clip))
            order.append(0)
        elif isinstance(event, Branch):
            order.append([event.number, event.of, event.steps, event.fate, event.chosen])
        else:
            order.append(-1)
    return {
        "instruction": solution.instruction_id,
        "group": solution.group,
        "topic": topic(solution.category, solution.collection),
        "split": solution.split,
        "method": solution.method,
        "outcome": solution.outcome,
        "reason": clip(solution.reason),
        "answer": clip(solution.final_answer),
        "model": solution.model,
        "prompts": solution.prompt_digest,
        "seed": str(solution.seed),  # 64 bits are more than a number of JavaScript's holds
        "spec": solution.spec,
        "replies": solution.calls,
        "tokens": [solution.input_tokens, solution.output_tokens],
        "cost": solution.cost,
        "again": tried_again(solution.steps),
        "picked": bool(solution.path),
        "steps": shown,
        "order": order,
    }


def _step(
    view: StepView, made: tuple[Call, float | None] | None, reply: tuple[float, int, int] | None, clip: Clip
) -> dict[str, Any]:
    step = view.step
    found: dict[str, Any] = {"id": step.id, "parent": step.parent, "turn": step.turn, "depth": step.depth}
    for name in ("thought", "reasoning", "arguments", "observation"):
        if (text := getattr(step, name)) is not None:
            found[name] = clip(text)
    if step.function is not None:
        found |= {"function": step.function, "source": step.source}
    if step.api_id is not None:
        found["api"] = step.api_id
    if view.status:
        found |= {"status": view.status, "tone": view.tone, "failed": failed(step)}
    if step.pruned:
        found["pruned"] = True
    if view.chosen:
        found["chosen"] = True
    if reply:
        found["reply"] = reply
    if made:
        call, seconds = made
        if seconds is not None:
            found["seconds"] = seconds
        if (whole := envelope(call)) != step.observation:
            found["response"] = clip(whole)
        if not _same(call["arguments"], step.arguments or ""):
            found["sent"] = clip(call["arguments"])
    return found


def failed(step: Step) -> bool:
    """A call that came back with an error; ending the search, by an answer or by giving up, is none."""
    return step.function is not None and step.status not in (None, 0, 3, 4)


def _same(sent: str, written: str) -> bool:
    """Whether arguments were sent as the model wrote them, white space aside."""
    try:
        return sent == written or bool(json.loads(sent) == json.loads(written))
    except (ValueError, RecursionError):
        return False


def envelope(call: Call) -> str:
    """The response before it was cut, as the model would have seen it: `Response.envelope`."""
    return f'{{"error": {json.dumps(call["error"], ensure_ascii=False)}, "response": {call["response"]}}}'


def sample(conversation: Conversation) -> dict[str, Any]:
    """The training sample with its loss mask, turn by turn."""
    return fitted(lambda clip: _sample(conversation, clip))  # type: ignore[no-any-return]


def _sample(conversation: Conversation, clip: Clip) -> dict[str, Any]:
    messages = []
    for message in conversation.messages:
        shown: dict[str, Any] = {"role": message.role}
        if message.content:
            shown["content"] = clip(message.content)
        if message.tool_calls:
            shown["calls"] = [[call.name, clip(call.arguments)] for call in message.tool_calls]
        if message.train:
            shown["learned"] = True
        messages.append(shown)
    return {"functions": _functions(conversation.tools), "messages": messages}


@lru_cache(maxsize=256)
def _functions(tools: str) -> list[str]:
    """The names of the offered functions."""
    try:
        return [str(tool["function"]["name"]) for tool in json.loads(tools)]
    except (ValueError, RecursionError, TypeError, KeyError):
        return []


def topic(category: str, collection: str) -> str:
    """A category, or a collection said to be one."""
    return category or (f"Collection {collection}" if collection else "")
