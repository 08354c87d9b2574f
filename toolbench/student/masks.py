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

import json
import os.path
import re
from collections.abc import Iterator, Sequence
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from toolbench.errors import ToolbenchError
from toolbench.records import Conversation, Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Span = tuple[int, int]
"""The first character and the one behind the last."""

_GENERATION = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")
_PROBE = "probe_of_the_slot"
_FUNCTION = {
    "type": "function",
    "function": {"name": _PROBE, "description": "", "parameters": {"type": "object", "properties": {}}},
}


class UnusableConversation(ToolbenchError):
    """This conversation cannot be learned from; `reason` is a short code to count by."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Chat:
    """A conversation and the chat template that shows it."""

    def __init__(self, conversation: Conversation, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.messages = plain(conversation.messages)
        self.tools: list[dict[str, Any]] | None = json.loads(conversation.tools) or None
        self.template = str(tokenizer.get_chat_template(None, self.tools))
        self.specials = _specials(tokenizer)
        self.variables = dict(tokenizer.special_tokens_map)
        self._rendered: dict[tuple[int, bool], str] = {}

    def text(self, end: int | None = None, *, prompt: bool = False) -> str:
        """The first `end` messages as text, with the opening of the assistant's next turn if `prompt`.

        Raises UnusableConversation if the template refuses them.
        """
        key = (len(self.messages) if end is None else end, prompt)
        if key not in self._rendered:
            self._rendered[key] = self.render(self.messages[: key[0]], prompt)[0]
        return self._rendered[key]

    def render(
        self, messages: Sequence[dict[str, Any]], prompt: bool = False, marked: bool = False
    ) -> tuple[str, list[Span]]:
        """Messages as text; with `marked`, also what the template marks by `{% generation %}`."""
        try:
            text, found = _jinja(
                messages, self.template, self.tools, self.variables, return_assistant_tokens_mask=marked,
                add_generation_prompt=prompt,
            )  # fmt: skip
        # Templates are programs: they raise what they like about roles, orders and types.
        except Exception as error:
            raise _at_fault(f"cannot show a conversation of this kind ({error})") from error
        return text, found if marked else []


def spans(chat: Chat, trained: Sequence[int]) -> list[Span]:
    """The spans, in `chat.text()`, of the assistant's turns with the numbers `trained`: none of them empty.

    Raises UnusableConversation, reason `template`, if the template refuses the conversation, leaves out the functions
    or a call, or if its turns cannot be told from the rest exactly.
    """
    text = chat.text()
    if chat.tools and not shows_tools(chat.template, tuple(sorted(chat.variables.items()))):
        raise _at_fault("leaves out the offered functions", _OTHER)
    found = _marked(chat, trained)
    if found is None:
        found = _with_one_function(chat, trained)
    if found is None:
        found = _unmarked(chat, trained)
    learned = "".join(text[start:end] for start, end in found)
    called = [call["function"]["name"] for n in trained for call in chat.messages[n].get("tool_calls", ())]
    if any(name not in learned for name in called):
        raise _at_fault("leaves out the assistant's calls", _OTHER)
    return found


def thoughts_left_out(chat: Chat, trained: Sequence[int], found: Sequence[Span]) -> int:
    """Trained turns whose thought the template does not show; some show either a text or a call."""
    text = chat.text()
    turns = zip(trained, found, strict=True) if len(trained) == len(found) else ()
    return sum(chat.messages[n]["content"].strip() not in text[start:end] for n, (start, end) in turns)


@lru_cache(maxsize=16)
def shows_tools(template: str, variables: tuple[tuple[str, Any], ...]) -> bool:
    """Whether a chat template has a slot for functions: templates drop silently what they do not know."""
    try:
        text, _ = _jinja([{"role": "user", "content": "?"}], template, [_FUNCTION], dict(variables))
    except Exception:  # as above
        return False
    return _PROBE in text


def _jinja(
    messages: Sequence[dict[str, Any]], template: str, tools: Any, variables: dict[str, Any], **options: Any
) -> tuple[str, list[Span]]:
    """What a chat template makes of messages, as transformers renders it, with the spans that it marks."""
    from transformers.utils import chat_template_utils

    render: Any = chat_template_utils.render_jinja_template
    (text,), found = render(
        conversations=[list(messages)], tools=tools, chat_template=template, **{**variables, **options}
    )
    return text, [(start, end) for start, end in found[0]] if found else []


def plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as chat templates expect them: OpenAI's shape, but arguments as objects and observations named."""
    names = {call.id: call.name for m in messages for call in m.tool_calls}
    out: list[dict[str, Any]] = []
    for message in messages:
        shown: dict[str, Any] = {"role": message.role, "content": message.content or ""}
        if message.tool_calls:
            shown["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": _object(c.arguments)}}
                for c in message.tool_calls
            ]
        if message.role == "tool" and message.tool_call_id is not None:
            shown |= {"tool_call_id": message.tool_call_id, "name": names.get(message.tool_call_id, "")}
        out.append(shown)
    return out


def _object(arguments: str) -> Any:
    """The arguments as an object; as the text they are where the model did not write one."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


_OTHER = "take a base whose template knows functions, give its folder another chat_template.jinja, or write the calls "\
    "as ReAct text"  # fmt: skip
_MARK_IT = "mark the assistant's turns with {% generation %} in the template"


def _at_fault(what: str, way_out: str = "") -> UnusableConversation:
    return UnusableConversation("template", f"The base's chat template {what}{': ' if way_out else ''}{way_out}.")


@lru_cache(maxsize=16)
def _specials_of(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name.strip()}, key=len, reverse=True))


def _specials(tokenizer: "PreTrainedTokenizerBase") -> tuple[str, ...]:
    """The texts of the tokens that may end a turn."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values())
    return _specials_of((*added, *(str(token) for token in tokenizer.all_special_tokens)))


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
    return _by_marks(chat, trained) if found is None else found


def _with_one_function(chat: Chat, trained: Sequence[int]) -> list[Span] | None:
    """The same from renderings with one short function in the place of all, which take most of the time.

    None unless the texts with and without are equal on both sides of one place where functions are, and no turn
    touches it.
    """
    if not chat.tools:
        return None
    short = copy(chat)
    short.tools, short._rendered = [_FUNCTION], {}
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
        found.append((len(before), _end(through, len(before), chat.specials)))
    return found


def _by_marks(chat: Chat, trained: Sequence[int]) -> list[Span]:
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
            raise _at_fault(f"does not continue its generation prompt with message {n + 1}", _MARK_IT)
        start = last + len(opening)
        last = start + len(_shown(through[at + len(opening) :], whole, start, message, n))
        if n in wanted:
            found.append((start, _end(whole[:last], start, chat.specials)))
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
    raise _at_fault(f"shows message {n + 1} otherwise once more messages follow", _MARK_IT)


class _Places:
    """Where the contents of messages that are not the assistant's end, in the whole and in its beginnings."""

    def __init__(self, chat: Chat) -> None:
        if chat.messages[0]["role"] == "assistant":
            raise _at_fault("shows turns otherwise once more follow, and the conversation begins with one", _MARK_IT)
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
                raise _at_fault(f"leaves out or repeats message {n + 1}, so turns cannot be told apart", _MARK_IT)
            places[n], text = len(before) if mark else 0, before + behind
        if text != self._chat.text(end):
            raise _at_fault("shows other messages by what they say, so turns cannot be told apart", _MARK_IT)
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


def _end(text: str, start: int, specials: Sequence[str]) -> int:
    """The end of a turn that `text` ends with: behind the token that ends it, if there is one."""
    kept = text.rstrip()
    return len(kept) if len(kept) > start and kept.endswith(tuple(specials)) else len(text)
