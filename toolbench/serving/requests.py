"""A chat request in OpenAI's shape, as far as our own endpoints serve it."""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from toolbench.records import FunctionCall, Message


class BadRequestError(Exception):
    """The request cannot be served; `param` is the field at fault, `code` OpenAI's name for the reason."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param, self.code, self.status = param, code, status


class _Function(BaseModel):
    name: str
    arguments: str = "{}"


class _Call(BaseModel):
    id: str
    function: _Function


class _Part(BaseModel):
    type: Literal["text"]
    text: str


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None

    def record(self) -> Message:
        text = "".join(part.text for part in self.content) if isinstance(self.content, list) else self.content
        return Message(
            role="system" if self.role == "developer" else self.role,
            content=text,
            tool_calls=[FunctionCall(id=c.id, **c.function.model_dump()) for c in self.tool_calls or ()],
            tool_call_id=self.tool_call_id,
        )


class _Described(BaseModel, extra="allow"):
    name: Annotated[str, Field(min_length=1)]


class _Tool(BaseModel, extra="allow"):
    type: Literal["function"]
    function: _Described


class _Chosen(BaseModel):
    type: Literal["function"]
    function: _Described


class _Streaming(BaseModel):
    include_usage: bool = False


class _Format(BaseModel):
    type: str


class Asked(BaseModel):
    """One request; fields that OpenAI knows and nothing here reads are let pass."""

    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    tools: list[_Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | _Chosen = "auto"
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    stream: bool = False
    stream_options: _Streaming | None = None
    response_format: _Format | None = None

    @property
    def offered(self) -> list[dict[str, Any]]:
        """The functions the model may call; none where the request says so."""
        return [] if self.tool_choice == "none" else [tool.model_dump() for tool in self.tools or ()]

    @property
    def forced(self) -> str | None:
        """The function that has to be called; empty where any has to; None where the model decides."""
        if isinstance(self.tool_choice, _Chosen):
            return self.tool_choice.function.name
        return "" if self.tool_choice == "required" else None

    @property
    def most(self) -> int | None:
        """Tokens of the reply at most."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> list[str]:
        """Texts that end the reply."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def records(self) -> list[Message]:
        """The messages as conversations have them."""
        return [m.record() for m in self.messages]


A = TypeVar("A", bound=Asked)


def asked(body: bytes) -> Asked:
    """The request in `body`. Raises BadRequestError, which names the field."""
    return asked_as(Asked, body)


def asked_as(shape: type[A], body: bytes) -> A:
    """The request in `body`, with the fields that an endpoint adds. Raises BadRequestError, which names the field."""
    try:
        request = shape.model_validate(json.loads(body))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadRequestError(f"The request's `{name}` is wrong: {first['msg'].lower()}.", name or None) from error
    except (ValueError, RecursionError) as error:
        raise BadRequestError("The request's body must be a JSON object.") from error
    if request.n not in (None, 1):
        raise BadRequestError("One reply a request: leave `n` out.", "n")
    if request.response_format and request.response_format.type != "text":
        raise BadRequestError("Replies here follow no schema: leave `response_format` out.", "response_format")
    names = {tool.function.name for tool in request.tools or ()}
    if request.forced is not None and (not names or (request.forced and request.forced not in names)):
        raise BadRequestError("`tool_choice` wants a function that `tools` does not offer.", "tool_choice")
    return request
