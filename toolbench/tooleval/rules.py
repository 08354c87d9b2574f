"""What needs no judge: the decision table of the pass rate, answers that are none, and majorities.

The table is that of ToolEval's release (ToolLLM, appendix A.5): an answer that solves its task passes; one that does
not passes only where the task cannot be solved.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from toolbench.records import Answered
from toolbench.tooleval.runs import AnswerStatus, Counting, Passing, Rule, TaskStatus

ANSWER_STATUSES: tuple[AnswerStatus, ...] = ("solved", "unsure", "unsolved")
TASK_STATUSES: tuple[TaskStatus, ...] = ("solvable", "unsure", "unsolvable")

DECISIONS: Mapping[tuple[AnswerStatus, TaskStatus], Passing] = {
    ("solved", "solvable"): "passed",
    ("solved", "unsure"): "passed",
    ("solved", "unsolvable"): "passed",
    ("unsure", "solvable"): "unsure",
    ("unsure", "unsure"): "unsure",
    ("unsure", "unsolvable"): "passed",
    ("unsolved", "solvable"): "failed",
    ("unsolved", "unsure"): "unsure",
    ("unsolved", "unsolvable"): "passed",
}

_HOPELESS: frozenset[Rule] = frozenset({"missing", "no_answer"})
"""Without an answer within the budget there is nothing that could pass, whatever the task."""


def decide(answer: AnswerStatus, task: TaskStatus) -> Passing:
    """Whether an answer of this status passes on a task of that one."""
    return DECISIONS[answer, task]


def asks_for_task(answer: AnswerStatus, rule: Rule, counting: Counting) -> bool:
    """Whether the task's status decides anything: only then a judge is asked for it."""
    if counting == "solvable" or rule in _HOPELESS:
        return False
    return len({DECISIONS[answer, task] for task in TASK_STATUSES}) > 1


def points(passing: Passing, unsure: float) -> float:
    """Passed 1, failed 0, unsure what settings say."""
    return {"passed": 1.0, "unsure": unsure, "failed": 0.0}[passing]


def rule_for(row: Answered) -> Rule:
    """Why an answer is unsolved without a judge's word; empty if a judge has to look at it."""
    if not row.present:
        return "missing"
    if row.finish == "gave_up":
        return "gave_up"
    if row.finish == "none":
        return "no_answer"
    if not row.final_answer.strip():
        return "empty"
    return "apology" if only_apologises(row.final_answer) else ""


RULE_REASONS: Mapping[Rule, str] = {
    "missing": "The query has no answer.",
    "no_answer": "The search ended without an answer.",
    "empty": "The final answer is empty.",
    "gave_up": "The search gave up.",
    "apology": "The final answer only apologises.",
}

_PART = re.compile(r"(?<=[.!?])\s+|\n+|[,;]?\s+(?:but|however),?\s+")
_DECLINES = re.compile(
    r"\b(?:sorry|apologi[sz]e|apologies|regret|i (?:give|gave) up)\b|"
    r"\b(?:i|we) (?:am|was|are|were|'m|have been) (?:currently )?(?:unable|not able)\b|"
    r"\b(?:i|we) (?:can(?: ?not|'t)|could(?: not|n't)|do(?: not|n't)|did(?: not|n't)) "
    r"(?:currently )?(?:have|find|get|answer|help|provide|retrieve|complete|fulfil|process|access|obtain|assist)",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"^(?:please|kindly)?,?\s*(?:try again|let me know|feel free|check back|is there anything|if you (?:have|need)|"
    r"thank you|thanks|hello|hi\b|dear )",
    re.IGNORECASE,
)
_TELLS = re.compile(r":|\d")


def only_apologises(answer: str) -> bool:
    """True if every part declines or is a courtesy, and one declines: what is left tells nothing.

    Strict on purpose: an answer that apologises for a part and gives the rest is the judge's to weigh.
    """
    parts = [part.strip() for part in _PART.split(answer.replace("’", "'")) if part.strip(" .!?-")]
    declining = [bool(_DECLINES.search(part)) and not _TELLS.search(part) for part in parts]
    return any(declining) and all(
        declines or _COURTESY.search(part) for part, declines in zip(parts, declining, strict=True)
    )


def majority(votes: Iterable[str], otherwise: str) -> str:
    """What most votes say; `otherwise` where none has the most."""
    counts = Counter(votes).most_common(2)
    if not counts or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return otherwise
    return counts[0][0]
