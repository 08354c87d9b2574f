"""Whether a call is the one that was asked for (Patil et al. 2023, "Gorilla", section 3.4).

A call is an API of the set if the API's function and its required arguments are a sub-tree of it. For `torch.hub.load`
repository and model are required; of every other function, all arguments that its document shows. A call may have more
arguments, name them or not, and be wrapped in whatever else. A call that is no API of the set is a hallucination.

Gorilla's published scripts look for the arguments' text anywhere in the answer, so that `bert` is found in `roberta`,
and take some call where none has the function's name. Here a value has to be equal, and the function to be named.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from toolbench.tooleval.apibench.calls import Argument, Call, answer_in, calls_in, command, commands_in

Outcome = Literal["match", "other", "hallucination", "no_call"]
"""`match`: the API asked for; `other`: another API of the set; `hallucination`: an API that is not in the set;
`no_call`: nothing in the answer is a call. Gorilla counts the last two as one."""

_QUOTE = re.compile("[\"']")
_NAME = re.compile(r"\w+(\.\w+)*")
_REQUIRED = {"torch.hub.load": ("repo_or_dir", "model")}


@dataclass(frozen=True, slots=True)
class Match:
    """What an answer came to."""

    outcome: Outcome
    call: Call | None = None
    """The call that decided, or the first where none is an API of the set."""
    api: Call | None = None
    """The API it is."""


@cache
def required(api: Call) -> tuple[Argument, ...]:
    """The arguments of an API that a call must have."""
    named = _REQUIRED.get(api.name)
    return tuple(a for a in api.arguments if (a.key in named if named else a.key != "**"))


def fulfils(call: Call, api: Call) -> bool:
    """Whether `call` has the function and the required arguments of `api`."""
    return call.name == api.name and all(any(_same(g, w) for g in call.arguments) for w in required(api))


def _same(given: Argument, wanted: Argument) -> bool:
    named = isinstance(given.key, str), isinstance(wanted.key, str)
    if given.key != wanted.key and named[0] == named[1]:
        return False
    if wanted.calls:
        return all(any(fulfils(g, w) for call in given.calls for g in call.tree()) for w in wanted.calls)
    return given.text == wanted.text


class Library:
    """The APIs of a set, by the calls of their documents and of the questions that no document covers."""

    def __init__(self, documents: Iterable[str], references: Iterable[str] = ()) -> None:
        self._apis: dict[str, list[Call]] = {}
        self._programs: set[str] = set()
        self._found: dict[Call, list[Call]] = {}
        """What was looked for before: the same APIs are asked for again and again."""
        for text in documents:
            self._add(read(text))
        uncovered = [call for call in dict.fromkeys(map(read, references)) if not self.found(call)]
        for call in uncovered:
            self._add(call)

    def _add(self, api: Call) -> None:
        if not _NAME.fullmatch(api.name):
            self._programs.add(api.name)
        self._found.clear()
        known = self._apis.setdefault(api.name, [])
        if api not in known:
            known.append(api)

    def found(self, call: Call) -> list[Call]:
        """The APIs that `call` is, the one with the most required arguments first."""
        if call not in self._found:
            found = [api for api in self._apis.get(call.name, ()) if fulfils(call, api)]
            self._found[call] = sorted(found, key=lambda api: -len(required(api)))
        return self._found[call]

    def api(self, reference: str) -> Call:
        """The API that a reference stands for. Raises KeyError if it is not of this set."""
        if not (found := self.found(read(reference))):
            raise KeyError(reference)
        return found[0]

    def judge(self, answer: str, reference: str) -> Match:
        """What `answer`, any text, comes to where `reference` was asked for.

        Of several calls that stand side by side the first that is, or holds, an API of the set decides: a list of
        everything there is would else be right.
        """
        wanted = self.api(reference)
        calls = self.calls(answer)
        for outermost in calls:
            if right := next((call for call in outermost.tree() if fulfils(call, wanted)), None):
                return Match("match", right, wanted)
            for call in outermost.tree():
                if found := self.found(call):
                    return Match("other", call, found[0])
        return Match("hallucination", calls[0]) if calls else Match("no_call")

    def calls(self, answer: str) -> Sequence[Call]:
        """The calls in an answer, and the commands that start a program of the set."""
        part = answer_in(answer)
        return calls_in(part) or commands_in(part, self._programs)


@cache
def read(text: str) -> Call:
    """The call of a document or a reference, which may lack a quote; a line that holds none is a command of a shell."""
    found = calls_in(text) or (calls_in(_QUOTE.sub("", text)) if "(" in text else [])
    return found[0] if found else command(text)
