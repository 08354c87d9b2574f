"""Judging: whether an answer solves its instruction, which of two is better, and which of two branches went further."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolbench.teacher.offline.mentions import mentions
from toolbench.teacher.offline.observe import observation
from toolbench.teacher.offline.words import LEXICON, clauses, stems

_APOLOGY = re.compile(
    r"\b(?:sorry|apologi[sz]e|unable to|unfortunately|"
    r"(?:can(?:no|')t|could(?: no|n')t|was not able to) (?:find|answer|get|help|provide|complete|retrieve)|"
    r"give up|no answer|do(?: no|n')t have (?:access|enough))",
    re.IGNORECASE,
)
_TOLD = tuple(LEXICON["story_openers"])
_RANKS = {"unsolved": 0, "unsure": 1, "solved": 2}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`verdict` is `solved`, `unsure` or `unsolved`; `reason` one sentence."""

    verdict: str
    reason: str


def succeeded(call: Any) -> bool:
    """Whether a call's status, in ToolBench's codes or in words, is a success."""
    status = call.get("status") if isinstance(call, dict) else call
    return not isinstance(status, bool) and str(status).lower() in ("0", "200", "ok", "success", "succeeded", "normal")


def verdict(block: Mapping[str, Any]) -> Verdict:
    """Judges `{"instruction", "answer", "calls"?}` by the instruction's values and words that the answer has."""
    text, gave_up = _final(block.get("answer"))
    calls = block.get("calls")
    if gave_up or not text:
        return Verdict("unsolved", "There is no answer." if not gave_up else "The search gave up.")
    if isinstance(calls, list) and not any(map(succeeded, calls)):
        return Verdict("unsolved", "The answer is not built on any successful call.")
    instruction = str(block.get("instruction") or "")
    lost_values, share_values, share_words = _coverage(instruction, text)
    apology = _APOLOGY.search(text)
    informs = set(stems(text)) - set(stems(instruction))
    if apology and (len(text) < 200 or share_values < 0.5):
        return Verdict("unsolved", f'The answer declines ("{apology.group()}").')
    if not informs:
        return Verdict("unsolved", "The answer tells nothing beyond the instruction.")
    missing = f"; missing: {', '.join(lost_values[:5])}" if lost_values else ""
    if apology:
        return Verdict("unsure", f"A part of the answer is missing{missing}.")
    if (share_values >= 0.6 and share_words >= 0.2) or (
        share_values >= 0.9 and share_words > 0 and mentions(instruction)
    ):
        return Verdict("solved", f"The answer takes up what was asked{missing}.")
    if share_values < 0.2 and share_words < 0.2:
        return Verdict("unsolved", f"The answer does not take up what was asked{missing}.")
    return Verdict("unsure", f"The answer takes up only part of what was asked{missing}.")


def task_status(block: Mapping[str, Any]) -> Verdict:
    """Judges `{"instruction", "functions"}`: can the functions give what is asked, by the words they share with it?

    `verdict` is `solvable`, `unsure` or `unsolvable`.
    """
    functions = [f for f in block["functions"] if isinstance(f, dict)]
    offered = {word for f in functions for word in stems(f"{f.get('name')} {f.get('description')}")}
    asked = [clause for clause in clauses(str(block.get("instruction") or "")) if not clause.startswith(_TOLD)]
    met = [bool(offered & set(stems(clause))) for clause in asked]
    if not functions or not any(met):
        return Verdict("unsolvable", "None of the functions has to do with what is asked.")
    if 2 * sum(met) < len(met):
        return Verdict("unsure", "The functions have to do with a part of what is asked.")
    return Verdict("solvable", "The functions have to do with what is asked.")


def _final(answer: Any) -> tuple[str, bool]:
    """The answer's text and whether it gives up; the raw arguments of `Finish` are read too."""
    if isinstance(answer, str) and answer.lstrip().startswith("{"):
        try:
            answer = json.loads(answer)
        except (ValueError, RecursionError):
            return str(answer).strip(), "give_up_and_restart" in str(answer)
    if isinstance(answer, dict):
        return str(answer.get("final_answer") or "").strip(), answer.get("return_type") == "give_up_and_restart"
    return str(answer or "").strip(), False


def _coverage(instruction: str, answer: str) -> tuple[list[str], float, float]:
    """The values the answer lacks, and the shares of the asked values and words that it has; 1 where none was asked."""
    asked = [clause for clause in clauses(instruction) if not clause.startswith(_TOLD)] or [instruction]
    low, answered = answer.lower(), set(stems(answer))
    values = [str(m.value) for clause in asked for m in mentions(clause) if not isinstance(m.value, list)]
    lost = [value for value in dict.fromkeys(values) if value.lower() not in low]
    words = {word for clause in asked for word in stems(clause)} - {word for value in values for word in stems(value)}
    share_values = 1 - len(lost) / len(set(values)) if values else 1.0
    return lost, share_values, len(words & answered) / len(words) if words else 1.0


def preference(block: Mapping[str, Any], choices: Sequence[str]) -> tuple[str, str]:
    """The better of the two candidates that `choices` names and `block` holds, and why: solved first, then fewer calls.

    A draw is the choice that names no candidate; without one, the first candidate.
    """
    names = [name for name in choices if isinstance(block.get(name), dict)][:2]
    if len(names) < 2:
        return (choices[0] if choices else ""), "There is nothing to compare."
    tie = next((choice for choice in choices if choice not in names), names[0])
    ranks = []
    for name in names:
        judged = verdict({"instruction": block.get("instruction"), **block[name]})
        calls = block[name].get("calls")
        ranks.append((_RANKS[judged.verdict], -len(calls) if isinstance(calls, list) else 0, judged.verdict))
    if ranks[0][:2] == ranks[1][:2]:
        return tie, f"Both are {ranks[0][2]} with as many calls."
    best = 0 if ranks[0][:2] > ranks[1][:2] else 1
    better, other = ranks[best], ranks[1 - best]
    why = f"is {better[2]}, the other {other[2]}" if better[0] != other[0] else "needs fewer calls"
    return names[best], f"The {names[best]} {why}."


def further(block: Mapping[str, Any]) -> str:
    """Which of `{"candidates": {"A": [steps], "B": [steps]}}` has more successful observations; a draw is "A"."""
    candidates = block.get("candidates")
    counts = dict.fromkeys(("A", "B"), 0)
    for name in counts:
        steps = candidates.get(name) if isinstance(candidates, dict) else None
        counts[name] = sum(map(_advanced, steps)) if isinstance(steps, list) else 0
    return "B" if counts["B"] > counts["A"] else "A"


def _advanced(step: Any) -> bool:
    if not isinstance(step, dict):
        return False
    if "status" in step:
        return succeeded(step) or str(step["status"]) == "3"
    seen = next((step[key] for key in ("observation", "function_output", "output", "content") if step.get(key)), None)
    return seen is not None and observation(seen if isinstance(seen, str) else json.dumps(seen)).ok
