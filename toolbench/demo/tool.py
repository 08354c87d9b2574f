"""What a tool of the hub is made of: routes that count and may misbehave, answers, and parameters."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

SLOW_SECONDS = 20.0
MEGABYTE = 1 << 20

_ERRORS = {
    "500": "Internal Server Error",
    "404": "Endpoint '{path}' does not exist",
    "401": "Invalid API key",
    "429": "Too many requests",
}


@dataclass
class HubState:
    """What one running hub remembers, and how it was told to behave."""

    delays: bool
    misbehaving: dict[str, str]
    requests: Counter[str] = field(default_factory=Counter)
    """Requests so far by operation id, refused ones included."""


class HubRoute(APIRoute):
    """An API of the hub. The handler is always honest; whether its answer gets out is decided here."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        honest = super().get_route_handler()

        async def handle(request: Request) -> Response:
            hub: HubState = request.app.state.hub
            hub.requests[self.name] += 1
            kind = hub.misbehaving.get(self.name)
            return await (_misbehave(kind, request, honest, hub.delays) if kind else honest(request))

        return handle


async def _misbehave(
    kind: str, request: Request, honest: Callable[[Request], Coroutine[Any, Any, Response]], delays: bool
) -> Response:
    if kind == "slow":
        await asyncio.sleep(SLOW_SECONDS if delays else 0)
        return await honest(request)
    if kind == "html":
        return HTMLResponse("<!doctype html><title>Maintenance</title><p>We will be back shortly.</p>")
    if kind == "megabyte":
        answer = await honest(request)
        padding = b',"debug":"' + b"trace " * (MEGABYTE // 6 + 1) + b'"}'
        return Response(bytes(answer.body)[:-1] + padding, answer.status_code, media_type="application/json")
    message = _ERRORS[kind].format(path=request.url.path)
    return JSONResponse({"message": message}, int(kind), headers={"Retry-After": "1"} if kind == "429" else None)


@dataclass(frozen=True)
class HubTool:
    """A tool: its document's head, and a router that its module hangs APIs on."""

    slug: str
    title: str
    description: str
    category: str
    """ToolBench's folder name of the category."""
    collections: tuple[str, ...]
    router: APIRouter = field(default_factory=partial(APIRouter, route_class=HubRoute))

    @property
    def get(self) -> Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """Decorator: a GET API. The function's name is its operation id, its docstring the API's description."""
        return partial(self.router.get, responses=_PROBLEMS)

    @property
    def post(self) -> Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """Decorator: a POST API with a JSON body; see `get`."""
        return partial(self.router.post, responses=_PROBLEMS)


class Answer(BaseModel):
    """Base of every response model. The docstring under a field is its description in the OpenAPI document."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Problem(Answer):
    """Why a request was refused."""

    detail: str
    """What is wrong with the request and what would be right."""


_PROBLEMS: dict[int | str, dict[str, Any]] = {400: {"model": Problem, "description": "The request cannot be answered"}}


def refuse(message: str, status: int = 400) -> HTTPException:
    """The exception to raise when a value is well-formed but has no answer; `message` becomes `detail`."""
    return HTTPException(status, message)


def text(description: str, example: str, **limits: Any) -> Any:
    """A text parameter, at most 5,000 characters unless told otherwise."""
    return Query(description=description, examples=[example], **({"min_length": 1, "max_length": 5000} | limits))


def integer(description: str, example: int, **limits: Any) -> Any:
    """An integer parameter within ±10¹²: beyond, arithmetic would take too long or lose digits in JSON readers."""
    return Query(description=description, examples=[example], **({"ge": -(10**12), "le": 10**12} | limits))


def number(description: str, example: float, **limits: Any) -> Any:
    """A finite number parameter within ±10¹², so that no answer overflows into what JSON cannot say."""
    bounds: dict[str, Any] = {} if "gt" in limits else {"ge": -1e12}
    return Query(description=description, examples=[example], allow_inf_nan=False, **(bounds | {"le": 1e12} | limits))


def value(description: str, example: str | bool) -> Any:
    """A parameter whose type says all: a choice or a time of day."""
    return Query(description=description, examples=[example])


def day(description: str, example: str) -> Any:
    """A date parameter, `YYYY-MM-DD`."""
    return value(f"{description}, as YYYY-MM-DD", example)


def numbers(values: str) -> list[float]:
    """Numbers separated by commas, 1 to 1,000 of them. Raises HTTPException 400 naming the first that is none."""
    found = []
    for part in values.split(","):
        try:
            value = float(part)
        except ValueError:
            raise refuse(f"'{part.strip()}' is not a number; write numbers separated by commas, as 4,8,15") from None
        if not abs(value) <= 1e12:
            raise refuse(f"{part.strip()} is out of range; numbers must lie within ±1e12")
        found.append(value)
    if len(found) > 1000:
        raise refuse(f"{len(found)} numbers are too many; the limit is 1000")
    return found


Latitude = Annotated[float, number("Latitude in decimal degrees, north positive", 48.8566, ge=-90, le=90)]
Longitude = Annotated[float, number("Longitude in decimal degrees, east positive", 2.3522, ge=-180, le=180)]
Day = Annotated[date, day("The date", "2025-06-21")]
CountryCode = Annotated[
    str, text("Two-letter country code (ISO 3166-1 alpha-2)", "FR", pattern="^[A-Za-z]{2}$", min_length=2, max_length=2)
]
CurrencyCode = Annotated[
    str, text("Three-letter currency code (ISO 4217)", "USD", pattern="^[A-Za-z]{3}$", min_length=3, max_length=3)
]
