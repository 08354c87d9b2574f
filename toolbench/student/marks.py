"""Turns told from marks around all other messages, for templates that show a turn otherwise once more follow.

Every message that is not the assistant's gets a mark behind its content, which tells where it ends in the whole; a turn
lies between two of them, behind the header that the generation prompt writes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from toolbench.student.chat import MARK_IT, Chat, Span, at_fault, end_of_turn


def by_marks(chat: Chat, trained: Sequence[int]) -> list[Span]:
    """The trained turns, told from the places of all other messages and from the header before a turn."""
    places, header, whole = _Places(chat), _header(chat), chat.text()
    found, wanted = [], set(trained)
    other, last = 0, 0  # the message before the turn that is not the assistant's, and the end of the one before it
    for n, message in enumerate(chat.messages):
        if message["role"] != "assistant":
            other, last = n, places.end(n)
            continue
        behind = last - places.end(other)  # what turns in a row have taken already
        at = places.end(other, n + 1) + behind
        through = chat.text(n + 1)
        for opening in _openings(chat, places, n, header):
            if whole.startswith(opening, last) and through[at - behind :].startswith(
                whole[last - behind : last] + opening
            ):
                break
        else:
            raise at_fault(f"does not continue its generation prompt with message {n + 1}", MARK_IT)
        start = last + len(opening)
        last = start + len(_shown(through[at + len(opening) :], whole, start, message, n))
        if n in wanted:
            found.append((start, end_of_turn(whole[:last], start, chat.specials)))
    return found


def _openings(chat: Chat, places: "_Places", n: int, header: str | None) -> Iterator[str]:
    """What may stand between the message before the turn `n` and the turn itself: as prompted, or as in the history."""
    opened, closed = chat.text(n, prompt=True), chat.text(n)
    if opened.startswith(closed):
        before = len(closed) if chat.messages[n - 1]["role"] == "assistant" else places.end(n - 1, n)
        yield opened[before:]
        if header is not None:
            yield closed[before:] + header


def _shown(turn: str, whole: str, start: int, message: dict[str, Any], n: int) -> str:
    """What the whole has of a turn that was rendered as the last message: all but what leads it (`<think>…`)."""
    needed = [call["function"]["name"] for call in message.get("tool_calls", ())]
    for cut in range(len(turn)):
        rest = turn[cut:]
        if whole.startswith(rest, start) and all(name in rest for name in needed) and (needed or rest.strip()):
            return rest
    raise at_fault(f"shows message {n + 1} otherwise once more messages follow", MARK_IT)


class _Places:
    """Where the contents of messages that are not the assistant's end, in the whole and in its beginnings."""

    def __init__(self, chat: Chat) -> None:
        if chat.messages[0]["role"] == "assistant":
            raise at_fault("shows turns otherwise once more follow, and the conversation begins with one", MARK_IT)
        self._chat = chat
        self._marks = list(_unused(chat))
        self._found: dict[int, dict[int, int]] = {}

    def end(self, n: int, end: int | None = None) -> int:
        """Where the content of message `n` ends in the rendering of the first `end` messages."""
        end = len(self._chat.messages) if end is None else end
        if end not in self._found:
            self._found[end] = self._places(end)
        return self._found[end][n]

    def _places(self, end: int) -> dict[int, int]:
        messages = self._chat.messages[:end]
        marked = [
            m if m["role"] == "assistant" else {**m, "content": _with(m["content"], self._marks[n])}
            for n, m in enumerate(messages)
        ]
        text, _ = self._chat.render(marked)
        places: dict[int, int] = {}
        for n, message in enumerate(messages):
            if message["role"] == "assistant":
                continue
            before, mark, behind = text.partition(self._marks[n])
            if self._marks[n] in behind or not (mark or message["role"] == "system"):
                raise at_fault(f"leaves out or repeats message {n + 1}, so turns cannot be told apart", MARK_IT)
            places[n], text = len(before) if mark else 0, before + behind
        if text != self._chat.text(end):
            raise at_fault("shows other messages by what they say, so turns cannot be told apart", MARK_IT)
        return places


def _with(content: str, mark: str) -> str:
    """The content with a mark behind its last visible character: templates strip what is around it."""
    kept = content.rstrip()
    return kept + mark + content[len(kept) :]


def _unused(chat: Chat) -> Iterator[str]:
    """One text a message that the conversation does not have."""
    text, word = chat.text(), "zqx"
    while word in text:
        word += "q"
    return (f"{word}{n}{word}" for n in range(len(chat.messages)))


def _header(chat: Chat) -> str | None:
    """What stands before an assistant's turn in the history, where the generation prompt writes more than that, as it
    does to switch reasoning off; None if the prompt does not begin with it."""
    said = [{"role": "user", "content": "zqx0zqx"}, {"role": "assistant", "content": "zqx1zqx"},
            {"role": "user", "content": "zqx2zqx"}]  # fmt: skip
    closed, opened = (chat.render(said[:1], prompt)[0] for prompt in (False, True))
    history, mark, _ = chat.render(said)[0].partition("zqx1zqx")
    return history[len(closed) :] if mark and history.startswith(closed) and opened.startswith(history) else None
