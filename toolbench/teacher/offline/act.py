"""Acting: the next call of a conversation with tools, by the words of the instruction and what was observed so far."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from toolbench.teacher.offline.answer import answer
from toolbench.teacher.offline.fill import values
from toolbench.teacher.offline.phrases import core
from toolbench.teacher.offline.plan import Function, Need, function, needs
from toolbench.teacher.offline.transcript import FINISH, Call, Transcript, transcript
from toolbench.teacher.offline.words import first_sentence, stems

_STAND_INS = 2
"""How many other functions are tried in the place of one that failed."""

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One reply: a thought or answer (`content`) and, unless `name` is empty, one call."""

    content: str
    name: str = ""
    arguments: str = ""


def turn(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], choice: Any, rng: Random) -> Turn:
    """The next reply. `choice` is OpenAI's `tool_choice`; a named function is called whatever the plan says."""
    state = transcript(messages)
    offered = [function(tool.get("function") or {}) for tool in tools]
    functions = [item for item in offered if item.name and item.name != FINISH]
    wanted = needs(state.instruction, functions)
    forced = (choice.get("function") or {}).get("name") if isinstance(choice, dict) else None
    if forced and forced != FINISH:
        return _forced(forced, functions, wanted, state, rng)
    plan = None if forced else _next(wanted, functions, state)
    if choice == "none":
        return Turn(_finished(wanted, functions, state, rng).content if plan is None else _thought(plan[0], state, rng))
    if plan is not None:
        return _call(*plan, state, rng)
    ending = _finished(wanted, functions, state, rng)
    if len(functions) < len(offered):
        return ending
    if choice == "required" and wanted:
        return _forced(wanted[0].function.name, functions, wanted, state, rng)
    return Turn(
        json.loads(ending.arguments).get("final_answer") or "I could not find an answer with the functions given."
    )


def _call(chosen: Function, arguments: Arguments, state: Transcript, rng: Random) -> Turn:
    return Turn(_thought(chosen, state, rng), chosen.name, json.dumps(arguments, ensure_ascii=False))


def _forced(name: str, functions: Sequence[Function], wanted: Sequence[Need], state: Transcript, rng: Random) -> Turn:
    chosen = next((item for item in functions if item.name == name), None)
    if chosen is None:
        return Turn("", name, "{}")
    clause = next((need.clause for need in wanted if need.function.name == name), state.instruction)
    return _call(chosen, values(chosen.parameters, state.instruction, clause, state.calls), state, rng)


def _next(
    wanted: Sequence[Need], functions: Sequence[Function], state: Transcript
) -> tuple[Function, Arguments] | None:
    """The first call that is new and still needed; where siblings exist, untried needs go before second tries.

    Starting again from an earlier point, a call that failed for a passing reason is made once more, as it would be
    starting from the beginning: nothing was wrong with it. Without a new start it is not repeated, as the system prompt
    asks.
    """
    needed = {need.function.name for need in wanted}
    open_needs = [need for need in wanted if not _satisfied(need, needed, state)]
    later: list[tuple[Function, Arguments]] = []
    for need in open_needs:
        for second, (chosen, arguments) in enumerate(_options(need, needed, state)):
            if state.made(chosen.name, arguments):
                continue
            if state.diverse and (second or any(call.name == chosen.name for call in state.tried)):
                later.append((chosen, arguments))
                continue
            return _provider(chosen, arguments, need, functions, state) or (chosen, arguments)
    return _again(open_needs, state) or (later[0] if later else None)


def _again(open_needs: Sequence[Need], state: Transcript) -> tuple[Function, Arguments] | None:
    """Starting again from an earlier point: a needed call that failed once, for a reason that may have passed."""
    for need in open_needs if state.diverse else ():
        failed = _failed(need.function.name, state)
        for call in failed:
            if call.observation.may_pass and sum(other.arguments == call.arguments for other in failed) == 1:
                return need.function, call.arguments
    return None


def _satisfied(need: Need, needed: set[str], state: Transcript) -> bool:
    names = (
        {need.function.name, *_stand_ins(need, needed)} if _failed(need.function.name, state) else {need.function.name}
    )
    return any(call.name in names and call.observation.ok for call in state.calls)


def _stand_ins(need: Need, needed: set[str]) -> list[str]:
    return [item.name for item in need.others if item.name not in needed][:_STAND_INS]


def _failed(name: str, state: Transcript) -> list[Call]:
    return [call for call in (*state.calls, *state.tried) if call.name == name and not call.observation.ok]


def _options(need: Need, needed: set[str], state: Transcript) -> Iterator[tuple[Function, Arguments]]:
    """The function itself, itself with other arguments if those were blamed (once), then its stand-ins."""
    failed = _failed(need.function.name, state)
    if not failed:
        yield need.function, values(need.function.parameters, state.instruction, need.clause, state.calls)
    elif len(failed) == 1 and failed[0].observation.blames_arguments:
        avoid = [call.arguments for call in failed]
        yield need.function, values(need.function.parameters, state.instruction, need.clause, state.calls, avoid)
    # A stand-in is for a function that failed, or that a sibling branch has called already.
    if failed or any(call.name == need.function.name for call in state.tried):
        names = _stand_ins(need, needed)
        for item in need.others:
            if item.name in names and not any(call.name == item.name for call in state.calls):
                yield item, values(item.parameters, state.instruction, need.clause, state.calls)


def _provider(
    chosen: Function, arguments: Arguments, need: Need, functions: Sequence[Function], state: Transcript
) -> tuple[Function, Arguments] | None:
    """A function that tells a coordinate which `chosen` wants and neither the instruction nor an observation has."""
    seen = {str(value) for call in state.calls for _, value in call.observation.leaves}
    for wanted in chosen.parameters:
        value = arguments.get(wanted.name)
        if (
            not wanted.required
            or wanted.kind not in ("latitude", "longitude")
            or str(value) in state.instruction
            or str(value) in seen
        ):
            continue
        for other in functions:
            takes = any(item.kind == wanted.kind for item in other.parameters)
            if takes or not {"latitud", "coordinat", "geocod"} & set(stems(f"{other.name} {other.description}")):
                continue
            filled = values(other.parameters, state.instruction, need.clause, state.calls)
            if not any(call.name == other.name for call in (*state.calls, *state.tried)):
                return other, filled
    return None


def _finished(wanted: Sequence[Need], functions: Sequence[Function], state: Transcript, rng: Random) -> Turn:
    """An answer if every need was met, or some on a new start if the others cannot be; else giving up.

    `Finish` asks for an answer in full, and to give up where another attempt may do better: so where a call failed for
    a passing reason. What a sibling branch observed counts, too: it stands in the diversity message.
    """
    needed = {need.function.name for need in wanted}
    unmet = [need for need in wanted if not _satisfied(need, needed, state)]
    shown = [call for call in state.tried if call.observation.ok and call.name in {n.function.name for n in unmet}]
    missing = [need.function for need in unmet if need.function.name not in {call.name for call in shown}]
    good = [call for call in (*state.calls, *shown) if call.observation.ok]
    hope = any(call.observation.may_pass for item in missing for call in _failed(item.name, state))
    if not good or (missing and (hope or not state.diverse)):
        thought = rng.choice(
            (
                "This way leads nowhere; I start over.",
                "The calls I need fail here, so I give up this way.",
                "I cannot go on from here.",
            )
        )
        return Turn(thought, FINISH, json.dumps({"return_type": "give_up_and_restart"}))
    descriptions = {item.name: item.description for item in functions}
    lost = [core(item.description, item.name)[1] for item in missing]
    text = answer(good, descriptions, state.instruction, lost)
    thought = rng.choice(
        (
            "I have what I need and can answer.",
            "That is everything that was asked.",
            "Now I can put the answer together.",
        )
    )
    return Turn(thought, FINISH, json.dumps({"return_type": "give_answer", "final_answer": text}, ensure_ascii=False))


def _thought(chosen: Function, state: Transcript, rng: Random) -> str:
    """A sentence that goes with the call; now and then none, as models do."""
    verb, rest = core(chosen.description, chosen.name)
    doing = f"{verb or 'look up'} {rest}".replace(" me ", " ")
    if state.calls and not state.calls[-1].observation.ok:
        return f"That failed ({first_sentence(state.calls[-1].observation.error)[:80]}), so now I {doing}."
    if rng.random() < 0.1:
        return ""
    start = rng.choice(("First I", "I begin: I")) if not state.calls else rng.choice(("Next I", "Now I", "Then I"))
    return f"{start} {doing}."
