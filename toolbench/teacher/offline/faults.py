"""Faults: how the offline teacher misbehaves on purpose, so that clients can be tried against a bad endpoint."""

from pydantic import BaseModel, ConfigDict, Field

from toolbench.digests import draw

Rate = Field(default=0.0, ge=0.0, le=1.0)


class Faults(BaseModel):
    """What goes wrong and how often. The default is an endpoint that never fails.

    Every rate is drawn from the request's digest and how often that digest was seen before: the same requests in the
    same number fail in the same way, whatever their order, and a repeated request may succeed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: float = Field(default=0.0, ge=0.0)
    """Milliseconds to wait before each reply."""

    jitter_ms: float = Field(default=0.0, ge=0.0)
    """At most this many milliseconds more, drawn per request."""

    rpm: int | None = Field(default=None, ge=1)
    """Requests taken in any 60 seconds; one more gets 429 with `Retry-After` in whole seconds. None: no limit.
    The only fault that looks at the clock."""

    error_rate: float = Rate
    """Share of requests answered 500."""

    malformed_rate: float = Rate
    """Share of replies whose arguments, or else whose content, break off in the middle."""

    hallucination_rate: float = Rate
    """Share of calls to a function that does not exist, and of instructions naming a relevant API that does not."""

    refusal_rate: float = Rate
    """Share of replies that are a refusal: `content` null, `refusal` set."""

    leak_rate: float = Rate
    """Share of instructions whose text gives a function's name away."""

    batch_ms: float = Field(default=0.0, ge=0.0)
    """Milliseconds that a batch takes."""

    batch_reject_rate: float = Rate
    """Share of batches that fail validation, drawn by the batch's first request."""

    batch_expire_rate: float = Rate
    """Share of a batch's requests that are not answered in time, so that the batch expires."""

    batch_drop_rate: float = Rate
    """Share of a batch's requests answered 500, in the error file."""

    def hits(self, fault: str, digest: str, attempt: int, index: int = 0) -> bool:
        """Whether `fault` (a field without `_rate`) strikes this digest's `attempt`-th request, at item `index`."""
        rate: float = getattr(self, f"{fault}_rate")
        return rate > 0 and draw(f"{digest}:{attempt}:{index}", fault) < rate

    def delay(self, digest: str, attempt: int) -> float:
        """Seconds to wait before the reply."""
        return (self.latency_ms + self.jitter_ms * draw(f"{digest}:{attempt}", "latency")) / 1000
