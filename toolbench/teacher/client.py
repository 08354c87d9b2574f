"""Chat completions from any OpenAI-compatible endpoint."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageFunctionToolCall

from toolbench.errors import TeacherError, TransientError
from toolbench.records import FunctionCall, Reply
from toolbench.settings import TeacherSettings

_NO_KEY = "none"  # the SDK insists on a key; local endpoints have none
_ABOUT_THE_REQUEST = (400, 413, 422)
"""Statuses by which an endpoint refuses this one request: another one may go through."""
_MAY_PASS = (408, 409, 429)
"""Statuses below 500 that a later try may cure."""


class Teacher:
    """A client of one endpoint, for one event loop: `async with Teacher(settings) as teacher:`.

    Retries (429, 5xx, timeouts, lost connections; exponential backoff with jitter, Retry-After) are the SDK's own.
    """

    def __init__(self, settings: TeacherSettings) -> None:
        self.settings = settings
        self.url = settings.base_url or "https://api.openai.com/v1"
        self._key = settings.api_key.get_secret_value()
        # Not the connection pool's limit: waiting there would count against the request's own timeout.
        self._slots = asyncio.Semaphore(settings.max_concurrency)
        self._client = openai.AsyncOpenAI(
            base_url=self.url,
            api_key=self._key or _NO_KEY,
            timeout=openai.Timeout(settings.timeout, connect=min(10.0, settings.timeout)),
            max_retries=settings.max_retries,
            # Only the configured address is contacted: no proxy from the environment unless the user names one. The
            # SDK's own client class, because it retries only on the exceptions of the HTTP library it was built on.
            http_client=openai.DefaultAsyncHttpxClient(trust_env=bool(os.environ.get("HTTPS_PROXY"))),
        )

    async def __aenter__(self) -> "Teacher":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    def request(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        tools: Sequence[Mapping[str, Any]] | None = None,
        schema: tuple[str, Mapping[str, Any]] | None = None,
        temperature: float | None = None,
    ) -> dict[str, Any]:
        """The request's body, which also identifies it in the journal: `schema` is a name and a JSON Schema."""
        body: dict[str, Any] = {
            "model": self.settings.model,
            "messages": list(messages),
            "seed": seed,
            "temperature": self.settings.temperature if temperature is None else temperature,
            "max_completion_tokens": self.settings.max_output_tokens,
        }
        if tools:
            body["tools"] = list(tools)
            body["tool_choice"] = "auto"
        if schema:
            name, shape = schema
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": shape, "strict": True},
            }
        return body

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """The reply to `request(…)`.

        What the endpoint says about this one request (too long, refused, filtered) comes back as `Reply.error`. Raises
        TeacherError when the endpoint cannot be used at all, TransientError when it failed after all retries.
        """
        try:
            async with self._slots:
                completion = await self._client.chat.completions.create(**body)
        except openai.OpenAIError as error:
            if isinstance(error, openai.APIStatusError) and error.status_code in _ABOUT_THE_REQUEST:
                return Reply(error=f"the endpoint rejected the request: {self._text(error)}")
            raise self._failure(error) from None
        except ValueError:
            raise TransientError(f"The teacher at {self.url} answered with something that is not JSON.") from None
        if not isinstance(completion, ChatCompletion):
            raise TeacherError(
                f"The teacher at {self.url} does not answer with chat completions: check OPENAI_BASE_URL, "
                "which mostly ends in /v1."
            )
        if not completion.choices or not completion.choices[0].message:
            return Reply(error="the endpoint answered without a choice")
        return self._reply(completion)

    async def check(self) -> None:
        """Raises TeacherError if the endpoint is unreachable or refuses the key. Costs no tokens."""
        try:
            await self._client.with_options(max_retries=1, timeout=15.0).models.list()
        except (openai.NotFoundError, openai.BadRequestError):
            return  # not every endpoint lists its models
        except openai.OpenAIError as error:
            raise self._failure(error) from None

    def _reply(self, completion: ChatCompletion) -> Reply:
        choice = completion.choices[0]
        message = choice.message
        usage = completion.usage
        tokens_in, tokens_out = (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)
        price_in, price_out = self.settings.prices.get(self.settings.model, (0.0, 0.0))
        error = ""
        if message.refusal:
            error = f"the teacher refused: {' '.join(message.refusal.split())[:200]}"
        elif choice.finish_reason == "content_filter":
            error = "the endpoint's content filter held the reply back"
        extra = message.model_extra or {}
        return Reply(
            # Providers differ in what they send with a call: null or an empty string. Both mean: no thought.
            content=message.content or None,
            reasoning=extra.get("reasoning_content") or extra.get("reasoning") or None,
            # Some servers leave out `type`, or send the arguments as an object.
            calls=[
                FunctionCall(
                    id=call.id or "", name=call.function.name or "", arguments=_arguments(call.function.arguments)
                )
                for call in message.tool_calls or []
                if isinstance(call, ChatCompletionMessageFunctionToolCall) and call.function
            ],
            finish_reason=choice.finish_reason or "",
            model=completion.model or self.settings.model,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            cost=round((tokens_in * price_in + tokens_out * price_out) / 1e6, 9),
            error=error,
        )

    def _failure(self, error: openai.OpenAIError) -> TeacherError | TransientError:
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return TeacherError(f"The teacher at {self.url} refuses the key: set OPENAI_API_KEY to a valid one.")
        if isinstance(error, openai.NotFoundError):
            return TeacherError(
                f"The teacher at {self.url} does not know the model {self.settings.model!r}: "
                "set --model or OPENAI_BASE_URL."
            )
        if isinstance(error, openai.APITimeoutError):
            return TransientError(f"The teacher at {self.url} did not answer within {self.settings.timeout:g} s.")
        if isinstance(error, openai.APIConnectionError):
            return TeacherError(f"The teacher at {self.url} cannot be reached: start it or set OPENAI_BASE_URL.")
        if isinstance(error, openai.RateLimitError) and error.code == "insufficient_quota":
            return TeacherError(f"The teacher at {self.url} says that the quota is used up: raise it, then run again.")
        if isinstance(error, openai.APIStatusError) and error.status_code < 500 and error.status_code not in _MAY_PASS:
            return TeacherError(f"The teacher at {self.url} refuses to work: {self._text(error)}")
        return TransientError(
            f"The teacher at {self.url} failed after {self.settings.max_retries} retries: {self._text(error)}"
        )

    def _text(self, error: Exception) -> str:
        """The error's text on one line, without the key: endpoints like to repeat it."""
        text = str(error).replace(self._key, "(key)") if self._key else str(error)
        return " ".join(text.split())[:300]


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
