from toolbench.solutions.calls import FINISH_DEFINITION as FINISH
from toolbench.prompts import load
def system_message(tools): return load("toolbench.solutions","system").render(tools=list(tools.items()), functions=[])
def task_message(t): return load("toolbench.solutions","task").render(instruction=t)
