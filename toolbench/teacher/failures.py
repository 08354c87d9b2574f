"""What a failed request means: for the caller, for the endpoint's health, and for whether to try again."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx2
import openai

from toolbench.errors import TeacherError, TransientError
from toolbench.settings import TeacherSettings
from toolbench.teacher.headers import retry_after
from toolbench.teacher.line import End

_MAY_PASS = (408, 409, 429)
"""Statuses below 500 that a later try may cure."""
_ABOUT_THE_REQUEST = (400, 413, 422)
"""Statuses by which an endpoint refuses this one request: another one may go through."""


class CutOffError(openai.OpenAIError):
    """An answer that says it is JSON and is not."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One try that failed."""

    error: openai.OpenAIError
    end: End
    again: bool
    """Whether another try may help."""
    headers: Mapping[str, str]
    pause: float | None = None
    """Seconds the endpoint asks to wait."""

    @property
    def down(self) -> bool:
        """Whether it may mean that the endpoint is down."""
        return self.end in (End.FAILED, End.CROWDED)

    @property
    def reached(self) -> bool:
        """Whether the endpoint, or a proxy before it, may have seen the request at all."""
        return not isinstance(self.error.__cause__, httpx2.ConnectError)

    @property
    def about_the_request(self) -> bool:
        """Whether the endpoint refuses this one request only."""
        return isinstance(self.error, openai.APIStatusError) and self.error.status_code in _ABOUT_THE_REQUEST


def classify(error: openai.OpenAIError) -> Failure:
    """What follows from an exception of the SDK."""
    if isinstance(error, openai.APITimeoutError):
        return Failure(error, End.CROWDED, True, {})
    if isinstance(error, openai.APIConnectionError | CutOffError):
        return Failure(error, End.FAILED, True, {})
    if not isinstance(error, openai.APIStatusError):
        return Failure(error, End.ANSWERED, False, {})
    status, headers = error.status_code, error.response.headers
    again = status >= 500 or status in _MAY_PASS
    if (told := headers.get("x-should-retry")) in ("true", "false"):  # OpenAI's servers know better
        again = told == "true"
    if status == 429:
        quota = error.code == "insufficient_quota"
        return Failure(
            error, End.ANSWERED if quota else End.LIMITED, again and not quota, headers, retry_after(headers)
        )
    end = End.CROWDED if status == 503 else End.FAILED if status >= 500 else End.ANSWERED
    return Failure(error, end, again, headers, retry_after(headers) if again else None)


def refused(error: openai.OpenAIError) -> bool:
    """Whether no connection was made or it broke: an endpoint that is restarted does that."""
    return isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError)


def explain(
    error: openai.OpenAIError, url: str, settings: TeacherSettings, retries: int
) -> TeacherError | TransientError:
    """The exception for the caller, after so many tries again."""
    text = one_line(error, settings)
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return TeacherError(f"The teacher at {url} refuses the key: set OPENAI_API_KEY to a valid one.")
    if isinstance(error, openai.NotFoundError):
        return TeacherError(
            f"The teacher at {url} does not know the model {settings.model!r}: set --model or OPENAI_BASE_URL."
        )
    if isinstance(error, CutOffError):
        return TransientError(f"The teacher at {url} answered with something that is not JSON.")
    if isinstance(error, openai.APITimeoutError):
        return TransientError(f"The teacher at {url} did not answer within {settings.timeout:g} s.")
    if isinstance(error, openai.APIConnectionError):
        return TeacherError(f"The teacher at {url} cannot be reached: start it or set OPENAI_BASE_URL.")
    if isinstance(error, openai.RateLimitError) and error.code == "insufficient_quota":
        return TeacherError(f"The teacher at {url} says that the quota is used up: raise it, then run again.")
    if isinstance(error, openai.APIStatusError) and error.status_code < 500 and error.status_code not in _MAY_PASS:
        return TeacherError(f"The teacher at {url} refuses to work: {text}")
    return TransientError(f"The teacher at {url} failed after {retries} retries: {text}")


def one_line(error: Exception, settings: TeacherSettings) -> str:
    """The error's text on one line, without the key: endpoints like to repeat it."""
    key = settings.api_key.get_secret_value()
    text = str(error).replace(key, "(key)") if key else str(error)
    return " ".join(text.split())[:300]
