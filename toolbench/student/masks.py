"""Which characters of a rendered conversation are the assistant's own: exact, whatever the chat template does.

Three ways, the first that can be exact:

1. The template says so itself, with `{% generation %}`.
2. Prefixes: what is rendered up to before a turn, with the template's generation prompt, and up to its end are both
   beginnings of the whole; what lies between is the turn.
3. Marks: templates that show a turn otherwise once more messages follow (Qwen 3 drops earlier reasoning) have no such
   prefixes. Then every other message gets a mark around its content, which tells where it lies in the whole; a turn
   lies between two of them, behind the header that the generation prompt writes.

Otherwise there is one error that names the template's fault. A turn ends with the token that ends it; white space
behind that is the template's, no model gets to write it.
"""

import os.path
import re
from collections.abc import Sequence
from copy import copy

from toolbench.student.chat import (
    ANOTHER,
    FUNCTION,
    Chat,
    Span,
    UnusableConversation,
    at_fault,
    end_of_turn,
    shows_tools,
)
from toolbench.student.marks import by_marks

_GENERATION = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")


def spans(chat: Chat, trained: Sequence[int]) -> list[Span]:
    """The spans, in `chat.text()`, of the assistant's turns with the numbers `trained`: none of them empty.

    Raises UnusableConversation, reason `template`, if the template refuses the conversation, leaves out the functions
    or a call, or if its turns cannot be told from the rest exactly.
    """
    text = chat.text()
    if chat.tools and not shows_tools(chat.template, tuple(sorted(chat.variables.items()))):
        raise at_fault("leaves out the offered functions", ANOTHER)
    found = _marked(chat, trained)
    if found is None:
        found = _with_one_function(chat, trained)
    if found is None:
        found = _unmarked(chat, trained)
    learned = "".join(text[start:end] for start, end in found)
    called = [call["function"]["name"] for n in trained for call in chat.messages[n].get("tool_calls", ())]
    if any(name not in learned for name in called):
        raise at_fault("leaves out the assistant's calls", ANOTHER)
    return found


def thoughts_left_out(chat: Chat, trained: Sequence[int], found: Sequence[Span]) -> int:
    """Trained turns whose thought the template does not show; some show either a text or a call."""
    text = chat.text()
    turns = zip(trained, found, strict=True) if len(trained) == len(found) else ()
    return sum(chat.messages[n]["content"].strip() not in text[start:end] for n, (start, end) in turns)


def _marked(chat: Chat, trained: Sequence[int]) -> list[Span] | None:
    """The trained turns as the template marks them; None if it does not mark turn by turn."""
    if not _GENERATION.search(chat.template):
        return None
    text, found = chat.render(chat.messages, marked=True)
    if text != chat.text():
        return None
    joined: list[Span] = []
    for start, end in found:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]  # a turn marked in parts
        if start < end:
            joined.append((start, end))
    turns = [n for n, m in enumerate(chat.messages) if m["role"] == "assistant"]
    if len(joined) != len(turns):
        return None
    return [span for turn, span in zip(turns, joined, strict=True) if turn in set(trained)]


def _unmarked(chat: Chat, trained: Sequence[int]) -> list[Span]:
    found = _by_prefixes(chat, trained)
    return by_marks(chat, trained) if found is None else found


def _with_one_function(chat: Chat, trained: Sequence[int]) -> list[Span] | None:
    """The same from renderings with one short function in the place of all, which take most of the time.

    None unless the texts with and without are equal on both sides of one place where functions are, and no turn
    touches it.
    """
    if not chat.tools:
        return None
    short = copy(chat)
    short.tools, short._rendered = [FUNCTION], {}
    try:
        whole, text, turns = chat.text(), short.text(), _unmarked(short, trained)
    except UnusableConversation:
        return None  # with all its functions it may still be shown
    before = _common(whole, text)
    behind = _common(whole[before:][::-1], text[before:][::-1])
    more, end = len(whole) - len(text), len(text) - behind
    found = []
    for start, stop in turns:
        if before < stop and start < end:
            return None
        found.append((start + more, stop + more) if start >= end else (start, stop))
    return found


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return len(os.path.commonprefix([one, other]))  # noqa: RUF071 - by characters, as it says


def _by_prefixes(chat: Chat, trained: Sequence[int]) -> list[Span] | None:
    """The trained turns between two renderings of a beginning each; None if the whole does not continue them."""
    found = []
    whole = chat.text()
    for n in trained:
        before, through = (chat.text(n, prompt=True), chat.text(n + 1)) if n else ("", "")
        if not len(before) < len(through) or not through.startswith(before) or not whole.startswith(through):
            return None
        found.append((len(before), end_of_turn(through, len(before), chat.specials)))
    return found
