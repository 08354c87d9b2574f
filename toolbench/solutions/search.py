"""The search for one instruction: DFSDT (ToolLLM, section 3.2), its ranked form, and ReAct@N.

It knows the rules and nothing of the world: the teacher is a function `ask`, the APIs are a function `call`.
"""

import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from toolbench.dialogue import FINISH, NO_SUCH_FUNCTION, Message
from toolbench.react_text import parse_react
from toolbench.records import FunctionCall, Outcome, Reply, Response, Step
from toolbench.solutions import messages
from toolbench.solutions.calls import (
    ANSWERED,
    GAVE_UP,
    TEACHER_FAILED,
    finish,
    parse_arguments,
    resolve,
)
from toolbench.solutions.mending import mended_reply, mended_response
from toolbench.solutions.messages import Task
from toolbench.solutions.rules import Rules
from toolbench.solutions.tree import Node, Tree, lineage

Ask = Callable[[list[Message], list[dict[str, Any]] | None, int], Awaitable[Reply]]
"""Messages, tools and the reply's number (from 1) to a reply; a reply with `error` means that the teacher failed."""

Call = Callable[[str, dict[str, Any] | str], Awaitable[Response]]
"""A function's name and its arguments (the model's own text where that is no JSON object) to a response."""

Tell = Callable[[Step], None]
"""Shown each step as the search gets there: a call before it is made, and again with its observation."""


def untold(step: Step) -> None:
    """Nobody looks on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMade:
    """One API call of a search, with the response before it was cut."""

    step: int
    function: str
    api_id: str
    arguments: str
    """Canonical JSON of the arguments."""
    response: Response


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What one search came to. Whatever teacher and APIs did, `outcome` is one of four and all text can be encoded."""

    outcome: Outcome
    reason: str
    """Why it was not solved; empty when it was."""
    final_answer: str
    """The answer as text; empty unless solved."""
    final_arguments: str
    """The arguments of the call that ends the path, as the model wrote them (ToolBench's `final_answer`)."""
    steps: list[Step]
    path: list[int]
    """Step ids from below the root to the end of the chosen path; empty if none was chosen."""
    answers: list[int]
    """Steps that answered, in the order they were found."""
    give_ups: list[int]
    """Steps that gave up, in the order they were found."""
    visited: list[int]
    """Steps in the order the search entered them (ToolBench: `expand_num`)."""
    stopped_at: int | None
    """The step that was being continued when the budget ended; None if it did not."""
    replies: int
    """Requests that the teacher answered or failed at, ranking included."""
    tries: int
    """Chains that `react` started; 1 for the tree searches."""
    input_tokens: int
    output_tokens: int
    cost: float
    calls: list[CallMade]
    """API calls in the order they were made."""
    opening: tuple[Message, ...]
    """The messages every conversation of this search starts with."""
    diversity: dict[int, Message]
    """The diversity message that a turn saw, by turn."""


async def search(task: Task, ask: Ask, call: Call, rules: Rules, tell: Tell = untold) -> SearchResult:
    """Searches until enough answers are found, nothing is left to try or the budget ends.

    What `ask`, `call` and `tell` raise passes through, cancellation included: a search has no side effects to undo.
    """
    running = _Search(task, ask, call, rules, tell)
    if rules.method == "react":
        await running.chains()
    else:
        await running.descend()
    return running.result()


def broken_off(reason: str, replies: Sequence[Reply]) -> SearchResult:
    """What is left of a search that could not go on after `replies`: no tree, but all that it cost."""
    return SearchResult(
        outcome="failed",
        reason=reason,
        final_answer="",
        final_arguments="",
        steps=Tree(()).steps(),
        path=[],
        answers=[],
        give_ups=[],
        visited=[],
        stopped_at=None,
        replies=len(replies),
        tries=1,
        input_tokens=sum(reply.input_tokens for reply in replies),
        output_tokens=sum(reply.output_tokens for reply in replies),
        cost=sum(reply.cost for reply in replies),
        calls=[],
        opening=(),
        diversity={},
    )


@dataclass(slots=True)
class _Frame:
    """A step being expanded: how many replies it had, and those ranked but not entered yet."""

    node: Node
    sampled: int = 0
    waiting: list[Node] = field(default_factory=list)


class _Search:
    def __init__(self, task: Task, ask: Ask, call: Call, rules: Rules, tell: Tell) -> None:
        self.task, self.ask, self.call, self.rules, self.tell = task, ask, call, rules, tell
        self.opening = messages.opening(task, rules)
        self.tools = messages.offered(task, rules)
        self.tree = Tree(self.opening)
        self.answers: list[Node] = []
        self.give_ups: list[Node] = []
        self.visited: list[Node] = [self.tree.root]
        self.stopped_at: Node | None = None
        self.replies = self.input_tokens = self.output_tokens = 0
        self.cost = 0.0
        self.tries = 1
        self.calls: list[CallMade] = []
        self.diversity: dict[int, Message] = {}
        self.last_error = ""

    async def chains(self) -> None:
        """ReAct@N: fresh chains from the root; what ended a chain never comes into the next."""
        for number in range(1, self.rules.tries + 1):
            self.tries = number
            node = self.tree.root
            while node is self.tree.root or not self.enter(node):
                node = await self.turn(node)
            if len(self.answers) >= self.rules.answers:
                return

    async def descend(self) -> None:
        """Depth first. The stack is a list, so no depth limit can meet Python's."""
        frames = [_Frame(self.tree.root)]
        follow = self.follow_ranked if self.rules.method == "ranked" else self.follow
        while frames:
            node = await follow(frames[-1])
            if self.stopped_at and not self.rules.use_last_reply:
                return
            if node is None:
                frames.pop()
                continue
            climb = self.enter(node)
            if climb == 0:
                frames.append(_Frame(node))
            elif len(self.answers) >= self.rules.answers:
                return
            else:
                del frames[len(frames) - (climb - 1) :]

    def enter(self, node: Node) -> int:
        """How many levels of replies to climb from `node`; 0 to expand it.

        An answer counts even beyond the depth limit. A give-up climbs 2: it distrusts the reply before it, too.
        """
        self.visited.append(node)
        if node.terminal:
            self.answers.append(node)
            return 2
        if node.depth < self.rules.max_depth and not node.pruned:
            return 0
        node.pruned = True
        if node.status == GAVE_UP:
            self.give_ups.append(node)
            return 2
        return 1

    async def follow(self, frame: _Frame) -> Node | None:
        """The next reply at this step; None after the last."""
        if frame.sampled == self.rules.width or self.stopped_at:
            return None
        frame.sampled += 1
        return await self.sample(frame.node)

    async def follow_ranked(self, frame: _Frame) -> Node | None:
        """The best reply at this step that was not entered yet; all are sampled and ranked before the first."""
        if frame.sampled == 0:
            while (node := await self.follow(frame)) is not None:
                frame.waiting.append(node)
            if not self.stopped_at:
                frame.waiting = await self.ranked(frame)
        return frame.waiting.pop(0) if frame.waiting else None

    async def sample(self, node: Node) -> Node | None:
        """One reply at `node`, asked to differ from the earlier ones; None if the budget takes it away."""
        asked = messages.diversity(node, self.rules.list_all_calls)
        if asked:
            self.diversity[self.replies + 1] = asked
        end = await self.turn(node, asked)
        return None if end is node else end

    async def ranked(self, frame: _Frame) -> list[Node]:
        """The waiting replies by points: each pair is compared in both orders, a win is 1, a tie one half."""
        points = dict.fromkeys(frame.waiting, 0.0)
        for first, second in combinations(frame.waiting, 2):
            for a, b in ((first, second), (second, first)):
                if self.stopped_at:
                    return frame.waiting
                asked = messages.rank_request(self.task, frame.node, a, b)
                reply = await self.request(frame.node, asked, ranking=True)
                points[a if messages.first_is_better(reply.content) else b] += 0.5
        return sorted(frame.waiting, key=points.__getitem__, reverse=True)

    async def request(self, node: Node, conversation: list[Message], ranking: bool = False) -> Reply:
        """One reply, accounted for. Notes where the budget ended; for ToolBench, ranking does not end it."""
        reply = mended_reply(await self.ask(conversation, None if ranking else self.tools, self.replies + 1))
        self.replies += 1
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens
        self.cost += reply.cost
        spent = self.rules.method != "react" and self.replies >= self.rules.max_calls
        if spent and (self.rules.use_last_reply or not ranking):
            self.stopped_at = node
        return reply

    async def turn(self, node: Node, asked: Message | None = None) -> Node:
        """Asks at `node` and carries out what is replied. Returns the last new node, or `node` if the budget ended."""
        conversation = self.tree.conversation(node)
        reply = await self.request(node, [*conversation, asked] if asked else conversation)
        if self.stopped_at and not self.rules.use_last_reply:
            return node
        thought, calls = parse_react(reply.content or "") if self.rules.text_format else (reply.content, reply.calls)
        if reply.error or (thought is None and not calls):
            return self.failed(node, reply)
        return await self.carry_out(node, thought, reply.reasoning, calls)

    def failed(self, node: Node, reply: Reply) -> Node:
        """A pruned thought that says what went wrong; it is never shown to the model."""
        self.last_error = reply.error or "the reply was empty"
        node = self.tree.add(
            node,
            turn=self.replies,
            levels=1,
            thought=self.last_error,
            reasoning=reply.reasoning,
            status=TEACHER_FAILED,
            pruned=True,
        )
        self.tell(node.step())
        return node

    async def carry_out(
        self, node: Node, thought: str | None, reasoning: str | None, calls: list[FunctionCall]
    ) -> Node:
        """Adds a reply to the tree: one step for each call, in order, or one for a thought alone."""
        levels = (thought is not None) + 2 * bool(calls)
        node = self.tree.add(node, turn=self.replies, levels=levels, thought=thought, reasoning=reasoning)
        new = [node]
        answered = False
        if not calls:
            self.tell(node.step())
        for number, call in enumerate(calls):
            if number > 0:
                node = self.tree.add(node, turn=self.replies, levels=2)
                new.append(node)
            await self.carry_out_call(node, call)
            answered = answered or (call.name == FINISH and node.status == ANSWERED)
            node.terminal = answered or node.status == ANSWERED
            node.pruned = node.status == GAVE_UP
            if self.rules.finish_ends_turn and (node.terminal or node.pruned):
                break
        node.said = messages.said_in([place.step() for place in new], self.rules)
        return node

    async def carry_out_call(self, node: Node, call: FunctionCall) -> None:
        node.function, node.arguments = call.name, call.arguments
        self.tell(node.step())
        if call.name == FINISH:
            finished = finish(call.arguments)
            node.status, observation = finished.status, finished.observation
        elif (function := resolve(call.name, self.task.functions, self.rules.exact_names)) is None:
            error = f"No such function name: {call.name}"
            node.status, observation = NO_SUCH_FUNCTION, json.dumps({"error": error, "response": ""})
        else:
            arguments, text = parse_arguments(call.arguments)
            response = mended_response(await self.call(function, arguments))
            node.status, node.source, node.api_id = response.status, response.source, self.task.functions[function]
            observation = response.envelope
            made = CallMade(step=node.id, function=function, api_id=node.api_id, arguments=text, response=response)
            self.calls.append(made)
        limit = self.rules.max_observation_length
        node.observation = observation if len(observation) <= limit else f"{observation[:limit]}..."
        self.tell(node.step())

    def result(self) -> SearchResult:
        """The first answer; else a give-up drawn by the task's seed (tree searches only); else no path."""
        end = next((node for node in self.answers if not node.pruned), None)
        outcome: Outcome = "solved"
        if end is None and self.give_ups:
            outcome = "gave_up"
            if self.rules.method != "react":
                end = self.give_ups[random.Random(self.task.seed).randint(0, len(self.give_ups) - 1)]
        elif end is None:
            outcome = "out_of_budget" if self.stopped_at else "failed"
        arguments = (end.arguments or "") if end else ""
        answer = finish(arguments).answer if end and end.function == FINISH else arguments
        return SearchResult(
            outcome=outcome,
            reason=self.reason(outcome),
            final_answer=answer if outcome == "solved" else "",
            final_arguments=arguments,
            steps=self.tree.steps(),
            path=[node.id for node in reversed(lineage(end)) if node.parent] if end else [],
            answers=[node.id for node in self.answers],
            give_ups=[node.id for node in self.give_ups],
            visited=[node.id for node in self.visited],
            stopped_at=self.stopped_at.id if self.stopped_at else None,
            replies=self.replies,
            tries=self.tries,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost=self.cost,
            calls=self.calls,
            opening=self.opening,
            diversity=self.diversity,
        )

    def reason(self, outcome: Outcome) -> str:
        if outcome == "solved":
            return ""
        if outcome == "gave_up":
            return "the teacher gave up"
        if outcome == "out_of_budget":
            return f"no answer within {self.rules.max_calls} replies"
        if all(node.status == TEACHER_FAILED for node in self.tree.nodes[1:]):
            return f"the teacher failed: {self.last_error}"
        return f"no answer within {self.rules.max_depth} levels"
