"""On what terms another process works on a run's shards: options that make it do as this one does, without secrets."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from pydantic import ValidationError

from flows.parameters import Options
from toolbench.errors import UsageError
from toolbench.lake import Lake
from toolbench.settings import Settings

_options: ContextVar[Options | None] = ContextVar("options of the run", default=None)


@contextmanager
def dispatching(options: Options) -> Iterator[None]:
    """What runs in the block may hand out its shards; `options` are what others need to do as this run does."""
    token = _options.set(options)
    try:
        yield
    finally:
        _options.reset(token)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms another process works on a shard: the run's options, and whether the judge is asked."""

    options: Options
    judge: bool


def terms(lake: Lake, settings: Settings) -> Terms | None:
    """The terms under which another process has these settings; None if shards are not to be handed out, or if the
    settings hold something that options cannot say, such as another key."""
    options = _options.get()
    if options is None or not settings.work.dispatch or lake.store.protocol == "memory":
        return None
    for judge in (False, True):
        try:
            found = Terms(_changed(options, settings, judge, lake.uri), judge)
            if settled(found) == settings.model_copy(update={"lake": lake.uri}):
                return found
        except (ValidationError, UsageError):
            continue
    return None


def settled(given: Terms) -> Settings:
    """The settings that a batch works with."""
    settings = given.options.settings()
    return settings.as_judge() if given.judge else settings


def _changed(options: Options, settings: Settings, judge: bool, lake: str) -> Options:
    """Options that lead to `settings`. Raises ValidationError where that would take a secret."""
    usual, shown, more = settled(Terms(options, judge)), json.loads(settings.model_dump_json()), dict(options.more)
    for section, values in shown.items():
        for field in values if isinstance(values, dict) else ():
            if getattr(getattr(usual, section), field) != getattr(getattr(settings, section), field):
                more[f"{section}.{field}"] = values[field]
    return Options.model_validate({**options.model_dump(), "more": more, "lake": lake})
