"""ToolEval's own result files: pass rates and preferences, read and written.

Pass rate, one object a split (ToolBench's `passed` and `failed` counts, StableToolBench's `is_solved` by vote):

    {query id: {"query", "task_solvable", "tool_names", "answer_steps", "final_step", "is_solved": {vote: status},
                "passed", "failed", "reason", "not_hallucinate"}}

Preferences: {query id: {<reference>: its wins, <output>: its wins, "round_<n>": "complete"}}.

Their `passed` and `failed` are whole votes; what is unsure is drawn there, and here counts for neither.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toolbench.dialogue import NO_SUCH_FUNCTION
from toolbench.errors import SourceError
from toolbench.records import Answered, Vote
from toolbench.tooleval.answers import calls_of
from toolbench.tooleval.asking import functions_of
from toolbench.tooleval.converted import message_of
from toolbench.tooleval.runs import AnswerStatus, PassRun, TaskStatus, WinRun

_STATUS = {"solved": "AnswerStatus.Solved", "unsure": "AnswerStatus.Unsure", "unsolved": "AnswerStatus.Unsolved"}
_TASK = {"solvable": "TaskStatus.Solvable", "unsure": "TaskStatus.Unsure", "unsolvable": "TaskStatus.Unsolvable"}
_READ: Mapping[str, AnswerStatus] = {v: k for k, v in _STATUS.items()}  # type: ignore[misc]
_READ_TASK: Mapping[str, TaskStatus] = {v: k for k, v in _TASK.items()}  # type: ignore[misc]


def pass_results(run: PassRun, rows: Sequence[Answered], votes: Iterable[Vote], split: str) -> dict[str, Any]:
    """The pass-rate results of one split. A query without an answer stands there, too: unsolved in every vote."""
    cast: dict[str, list[Vote]] = {}
    for vote in votes:
        if vote.split == split:
            cast.setdefault(vote.query_id, []).append(vote)
    shown = {row.query_id: row for row in rows if row.split == split}
    out = {}
    for result in run.queries:
        if result.split != split:
            continue
        row = shown[result.query_id]
        mine = sorted((v for v in cast.get(row.query_id, []) if v.question == "answer"), key=lambda v: v.vote)
        turns = [message_of(t) for t in row.turns if t.role in ("assistant", "tool")]
        out[row.query_id] = {
            "query": row.query,
            "task_solvable": _TASK.get(result.task, _TASK["solvable"]),
            "tool_names": [f["name"] for f in functions_of(row)],
            "answer_steps": [f"{n}: {text}" for n, text in enumerate(turns, 1)],
            "final_step": turns[-1] if turns else "",
            "is_solved": {str(v.vote): _STATUS[v.verdict] for v in mine},
            "passed": sum(p == 1 for p in result.votes),
            "failed": sum(p == 0 for p in result.votes),
            "reason": " | ".join(v.reason for v in mine),
            "not_hallucinate": all(c.status != NO_SUCH_FUNCTION for c in calls_of(row)),
        }
    return out


def read_pass_results(document: Any, where: str) -> dict[str, dict[int, AnswerStatus]]:
    """The answer's status by query id and vote; ToolBench's single `is_solved` is vote 0.

    Raises SourceError naming the query and the field.
    """
    if not isinstance(document, dict):
        raise SourceError(f"{where} is no file of pass-rate results: it has to hold an object by query id.")
    found: dict[str, dict[int, AnswerStatus]] = {}
    for query_id, entry in document.items():
        solved = entry.get("is_solved") if isinstance(entry, dict) else None
        by_vote = {"0": solved} if isinstance(solved, str) else solved
        if not isinstance(by_vote, dict) or not all(str(k).isdecimal() and v in _READ for k, v in by_vote.items()):
            raise SourceError(
                f"{where}: is_solved of query {query_id} is none of {', '.join(_READ)}, nor these by vote."
            )
        found[str(query_id)] = {int(number): _READ[status] for number, status in sorted(by_vote.items())}
    return found


def read_task_statuses(document: Mapping[str, Any]) -> dict[str, TaskStatus]:
    """Whether each query's task can be solved, by query id; solvable where the file does not say."""
    found = {str(query_id): entry.get("task_solvable") for query_id, entry in document.items()}
    return {query_id: _READ_TASK.get(str(status), "solvable") for query_id, status in found.items()}


def preference_results(run: WinRun, split: str) -> dict[str, dict[str, Any]]:
    """The preferences of one split: a point to who was preferred in each vote, or once where no judge was asked."""
    out: dict[str, dict[str, Any]] = {}
    for result in run.queries:
        if result.split == split:
            points = [p for p in result.votes if p is not None] if result.won_by == "quality" else [result.points]
            rounds = {f"round_{number}": "complete" for number in range(len(points))}
            wins = {run.against: sum(p == 0 for p in points), run.name: sum(p == 1 for p in points)}
            out[result.query_id] = {**wins, **rounds}
    return out


def read_preference_results(document: Any, reference: str, output: str, where: str) -> dict[str, float]:
    """1 where `output` was preferred, 0 where `reference` was, ½ for ties, by query id. Raises SourceError."""
    if not isinstance(document, dict):
        raise SourceError(f"{where} is no file of preferences: it has to hold an object by query id.")
    found = {}
    for query_id, entry in document.items():
        wins = [entry.get(name) if isinstance(entry, dict) else None for name in (reference, output)]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in wins):
            raise SourceError(f"{where}: query {query_id} has no counts for {reference!r} and {output!r}.")
        theirs, ours = (int(n or 0) for n in wins)
        found[str(query_id)] = 0.5 if ours == theirs else float(ours > theirs)
    return found


def dump(document: Mapping[str, Any]) -> str:
    """As these files are written."""
    return json.dumps(document, ensure_ascii=False, indent=4) + "\n"
