"""Codes in a person's words."""

SPLITS = {
    "train": "Train",
    "instruction": "Held out: instruction",
    "tool": "Held out: tool",
    "category": "Held out: category",
}

GROUPS = {
    "I1": "one tool",
    "I2": "several tools of one category",
    "I3": "several tools of one collection",
}

OUTCOMES = {"solved": "solved", "gave_up": "gave up", "out_of_budget": "out of budget", "failed": "failed"}

_STATUS = {
    -1: "teacher failed",
    0: "normal",
    1: "no such function",
    2: "bad input",
    3: "final answer",
    4: "gave up",
    5: "timeout",
    6: "not found or not working",
    7: "unauthorised",
    8: "not subscribed",
    9: "too many requests",
    10: "rate limit",
    11: "the message is an error",
    12: "sending failed",
}
"""ToolBench's status codes, and −1 for a turn at which the teacher failed."""


def status_word(status: int) -> str:
    """What a status code means."""
    return _STATUS.get(status, "unknown status")
