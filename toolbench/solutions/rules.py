"""The rules of a search: how wide, how deep, how long, and which of ToolBench's habits it keeps."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

from toolbench.errors import UsageError

Method = Literal["dfsdt", "react", "ranked"]
Preset = Literal["default", "toolbench"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything that decides a search besides the teacher's replies and the APIs' responses.

    `Rules()` is the `default` preset; `preset("toolbench")` repeats ToolBench's reference search to the letter.
    Raises UsageError for a limit below 1 or an unknown method.
    """

    method: Method = "dfsdt"
    """`dfsdt`: pre-order depth-first search (ToolLLM, section 3.2); `react`: chains without return (ReAct@N);
    `ranked`: depth-first search that samples all children first and enters them in the order the teacher ranks them."""

    width: int = 2
    """Replies sampled at one step (ToolBench: `tree_beam_size`). Not used by `react`."""

    max_depth: int = 12
    """Levels below the root: a thought is one, a call two (ToolBench: `single_chain_max_step`). It is tested at the end
    of a reply, so that a branch may pass it."""

    max_calls: int = 60
    """Replies of the teacher in one search (ToolBench: `max_query_count`). Not used by `react`: depth ends it."""

    answers: int = 1
    """Answers after which the search ends."""

    tries: int = 1
    """Chains that `react` starts at most (ToolBench: `pass_at`). Not used by the tree searches."""

    max_observation_length: int = 1024
    """Characters of an observation shown to the model; what is longer ends in `...`."""

    text_format: bool = False
    """The teacher cannot call tools: functions stand in the system prompt, calls are read from its text."""

    use_last_reply: bool = True
    """The reply that reaches `max_calls` was paid for, so it is used, and ranking keeps within `max_calls`. ToolBench
    throws that reply away, and looks at the budget only when it samples."""

    exact_names: bool = True
    """A function is found by its name or by an ending that no other function has; ToolBench takes the first function
    that ends with the name, so that the empty name calls the first of all."""

    finish_ends_turn: bool = True
    """With several calls in a reply, an answer or a give-up ends it; ToolBench carries out the rest and judges the
    last."""

    replace_all_names: bool = True
    """An invented name is replaced in messages whichever call of a reply it stands in. ToolBench's tree searches
    replace it in the first call only, but in all calls where a reply is trained on for the first time."""

    list_all_calls: bool = True
    """The diversity message lists every call of an earlier reply; ToolBench lists the first."""

    samples_as_seen: bool = True
    """A training sample is what the model saw at that turn, once. ToolBench's later samples keep the last diversity
    message, which was hidden by then, and some samples come twice."""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UsageError(
                f"The search method {self.method!r} is unknown; choose one of {', '.join(get_args(Method))}."
            )
        for name in ("width", "max_depth", "max_calls", "answers", "tries", "max_observation_length"):
            if getattr(self, name) < 1:
                raise UsageError(f"The search rule `{name}` is {getattr(self, name)}; it must be at least 1.")


_PRESETS: dict[str, Rules] = {
    "default": Rules(),
    "toolbench": Rules(
        use_last_reply=False,
        exact_names=False,
        finish_ends_turn=False,
        replace_all_names=False,
        list_all_calls=False,
        samples_as_seen=False,
    ),
}


def preset(name: Preset, **changes: Any) -> Rules:
    """The rules of a preset with some fields changed. Raises UsageError for an unknown preset or a bad value."""
    if name not in _PRESETS:
        raise UsageError(f"The search preset {name!r} is unknown; choose one of {', '.join(_PRESETS)}.")
    return dataclasses.replace(_PRESETS[name], **changes)
