"""What a client is told when a question cannot be worked on, in OpenAI's shape."""

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolbench.agent.gate import FullError
from toolbench.errors import BudgetError, TeacherError, ToolbenchError, TransientError, UsageError
from toolbench.serving.answers import failure, told

if TYPE_CHECKING:
    from starlette.responses import Response

_NOT_AGAIN = {"x-should-retry": "false"}
"""OpenAI's clients ask again by themselves after a 5xx, unless they are told that it is of no use."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failing:
    """An error with its HTTP status."""

    status: int
    message: str
    kind: str
    code: str
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: BaseException) -> "Failing":
        """What `error` means for a client. What nobody foresaw is logged, and told without its details."""
        message = str(error)
        if isinstance(error, FullError):
            headers = {"Retry-After": str(error.seconds)}
            return cls(429, message, "requests", "rate_limit_exceeded", headers)
        if isinstance(error, BudgetError):
            return cls(429, message, "insufficient_quota", "insufficient_quota", _NOT_AGAIN)
        if isinstance(error, TransientError):
            return cls(503, message, "server_error", "model_failed", {"Retry-After": "5"})
        if isinstance(error, TeacherError):
            return cls(502, message, "server_error", "model_unavailable", _NOT_AGAIN)
        if isinstance(error, UsageError):
            return cls(400, message, "invalid_request_error", "bad_request")
        if isinstance(error, ToolbenchError):
            return cls(500, message, "server_error", "server_error", _NOT_AGAIN)
        _log.error("a question failed", exc_info=error)
        return cls(500, "The server failed at this; its log says why.", "server_error", "server_error", _NOT_AGAIN)

    def response(self) -> "Response":
        """As a response of its own."""
        return failure(self.status, self.message, self.kind, self.code, headers=self.headers)

    def chunk(self) -> dict[str, Any]:
        """As a part of a stream that has begun."""
        return {"error": told(self.message, self.kind, self.code)}
