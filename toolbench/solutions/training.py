"""Training samples: what the model saw and said at each turn of the chosen path."""

import dataclasses
from itertools import groupby

from toolbench.dialogue import Message
from toolbench.solutions.messages import said_in
from toolbench.solutions.rules import Rules
from toolbench.solutions.search import SearchResult


def training_samples(result: SearchResult, rules: Rules) -> list[list[Message]]:
    """One message list for each assistant turn on the chosen path, oldest first, ending with that turn's message.

    With `rules.samples_as_seen` it is the request the model answered and its answer. Otherwise ToolBench's
    `train_messages`: a diversity message stays in all later samples until a newer one takes its place; a turn counts
    once for each of its calls, the first time with all invented names replaced; a thought alone counts again if the
    next turn has a thought and a call.
    """
    samples: list[list[Message]] = []
    history = list(result.opening)
    kept: tuple[int, Message] | None = None
    thought_alone = False
    on_path = (result.steps[number] for number in result.path)
    for number, steps in groupby(on_path, key=lambda step: step.turn):
        turn = list(steps)
        said = said_in(turn, rules)
        asked = result.diversity.get(number)
        calls = sum(step.function is not None for step in turn)
        if asked:
            kept = (len(history), asked)
        if rules.samples_as_seen:
            samples.append([*history, *([asked] if asked else []), said[0]])
        else:
            if thought_alone and calls and turn[0].thought is not None:
                samples.append(list(samples[-1]))
            at, message = kept or (0, None)
            before = [*history[:at], *([message] if message else []), *history[at:]]
            renamed = said_in(turn, dataclasses.replace(rules, replace_all_names=True))
            samples.append([*before, renamed[0]])
            samples += [[*before, said[0]] for _ in range(calls - 1)]
        thought_alone = not calls
        history += said
    return samples
