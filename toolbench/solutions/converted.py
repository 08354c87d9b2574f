"""Solutions as ToolEval reads them: ToolBench's and StableToolBench's converted answers.

    {query id: {"query", "available_tools", "answer": {"method", "total_steps", "final_answer", "answer_details"}}}

`answer_details` nests what happened along one path: {"role", "message", "next": [what came then]}, from the system's
turn (its message is empty) to the last. A call's message is a Python literal of its name, arguments and response.
"""

from collections.abc import Iterator
from typing import Any

from toolbench.dialogue import FINISH, FINISH_DEFINITION
from toolbench.records import Solution, Step
from toolbench.solutions.answers import native_function
from toolbench.solutions.messages import Task
from toolbench.solutions.rules import Rules


def method_name(rules: Rules) -> str:
    """ToolBench's name of a search: `DFS_woFilter_w2`, `DFS_w2` where children are ranked, `CoT@3`."""
    if rules.method == "react":
        return f"CoT@{rules.tries}"
    return f"DFS_{'woFilter_' if rules.method == 'dfsdt' else ''}w{rules.width}"


def converted(solution: Solution, task: Task, rules: Rules) -> dict[str, Any]:
    """The entry of one solution. Without a chosen path it tells of the last one that was tried."""
    path = [solution.steps[number] for number in solution.path] or _last(solution.steps)
    turns = [("system", ""), ("user", task.instruction), *(turn for step in path for turn in _turns(step))]
    details: list[dict[str, Any]] = []
    for role, message in reversed(turns):
        details = [{"role": role, "message": message, "next": details}]
    return {
        "query": task.instruction,
        "available_tools": [native_function(d) for d in task.definitions] + [FINISH_DEFINITION],
        "answer": {
            "method": method_name(rules),
            "total_steps": len(turns),
            "final_answer": (path[-1].arguments or "") if solution.path else "",
            "answer_details": details,
        },
    }


def _turns(step: Step) -> Iterator[tuple[str, str]]:
    if step.thought is not None:
        yield "assistant", step.thought
    if step.function is not None:
        response = "" if step.function == FINISH else step.observation
        yield "tool", str({"name": step.function, "arguments": step.arguments, "response": response})


def _last(steps: list[Step]) -> list[Step]:
    line = []
    at = steps[-1]
    while at.parent >= 0:
        line.append(at)
        at = steps[at.parent]
    return line[::-1]
