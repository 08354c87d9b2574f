"""Lines of the Batch API's files: requests out, results in."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
_DIGITS = 6
"""Places of the line number behind a request's name."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a batch says of one request."""

    status: int = 0
    """The HTTP status; 0 if the request was not sent to the model."""
    body: Mapping[str, Any] | None = None
    """The completion, or the error as endpoints send it."""
    code: str = ""
    """Why there is no body, for example `batch_expired`."""
    message: str = ""


def request(name: str, number: int, body: bytes) -> tuple[str, bytes]:
    """Custom id and line, newline included, of the request called `name` whose body is the JSON text `body`."""
    custom_id = f"{name}-{number:0{_DIGITS}d}"
    head = json.dumps({"custom_id": custom_id, "method": "POST", "url": ENDPOINT}, separators=(",", ":"))
    return custom_id, head[:-1].encode() + b',"body":' + body + b"}\n"


def encoded(body: Mapping[str, Any]) -> bytes:
    """A body as JSON in UTF-8. Half a surrogate pair, which UTF-8 cannot hold, becomes `?`, as in the journal."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def size(name: str, body: bytes) -> int:
    """Bytes of a request's line."""
    return len(request(name, 0, b"")[1]) + len(body)


def results(data: bytes) -> Iterator[tuple[str, Result]]:
    """Custom ids and results in an output or error file, in any order. Lines that say nothing are left out."""
    for line in data.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and isinstance(name := found.get("custom_id"), str):
            yield name, _result(found.get("response"), found.get("error"))


def _result(response: Any, error: Any) -> Result:
    if isinstance(response, dict) and isinstance(status := response.get("status_code"), int):
        body = response.get("body")
        return Result(status, body if isinstance(body, dict) else {})
    said = error if isinstance(error, dict) else {}
    return Result(code=str(said.get("code") or "no_response"), message=str(said.get("message") or "no reason is given"))
