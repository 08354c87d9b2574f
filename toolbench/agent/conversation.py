"""A chat request to the agent: the question in it, what was said before, and what our extension adds."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from toolbench.agent.ask import Question
from toolbench.prompts import load
from toolbench.records import Message
from toolbench.serving.requests import Asked, BadRequestError, asked_as
from toolbench.solutions.mending import mended

_PACKAGE = __name__.rpartition(".")[0]
_SAID = 12_000
"""Characters of the conversation before that the model is shown at most; the newest count."""
_BEFORE = 500
"""Characters of the message before that the retriever is shown."""


class Extension(BaseModel):
    """The field `toolbench` of a request."""

    model_config = ConfigDict(extra="forbid")

    top: Annotated[int, Field(ge=1, le=100)] | None = None
    method: Literal["dfsdt", "react", "ranked"] | None = None
    trace: bool = True
    """Tell the trace."""
    reasoning: bool = True
    """Tell thoughts and calls as reasoning content."""


class Wanted(Asked):
    """One request. Functions that it offers are not called: the agent has its own."""

    toolbench: Extension = Extension()


def wanted(body: bytes) -> Wanted:
    """The request in `body`. Raises BadRequestError, which names the field."""
    request = asked_as(Wanted, body)
    if request.forced is not None:
        raise BadRequestError("The agent calls its own APIs: leave `tool_choice` out.", "tool_choice")
    return request


def question(request: Wanted, top: int) -> Question:
    """The last message as a question, with what was said before as its context. Raises BadRequestError."""
    *earlier, last = request.records
    if last.role != "user" or not (last.content or "").strip():
        raise BadRequestError("The last message must be the user's question, in words.", "messages")
    users = [message.content for message in earlier if message.role == "user" and message.content]
    return Question(
        text=mended(last.content or ""),
        top=request.toolbench.top or top,
        before=mended(users[-1][-_BEFORE:]) if users else "",
        context=mended(_context(earlier)),
    )


def _context(earlier: list[Message]) -> str:
    """What the model is told of the messages before: the program's rules, then the newest turns."""
    rules = [message.content for message in earlier if message.role == "system" and message.content]
    turns = [message for message in earlier if message.role in ("user", "assistant") and message.content]
    left, said = _SAID, list[tuple[str, str]]()
    for message in reversed(turns):
        if left <= 0:
            break
        text = (message.content or "")[:left]
        left -= len(text)
        said.append(("User" if message.role == "user" else "Assistant", text))
    if not rules and not said:
        return ""
    return load(_PACKAGE, "earlier").render(rules=[text[:_SAID] for text in rules], said=said[::-1])
