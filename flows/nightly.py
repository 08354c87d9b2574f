"""nightly-refresh and add-category: the whole way from a catalogue to a published dataset."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.annotate import annotate_solutions
from flows.collect import collect_apis
from flows.compress import compress_responses
from flows.dataset import build_dataset
from flows.generate import generate_instructions
from flows.parameters import Options, Source, run_name
from flows.retriever import train_retriever
from flows.screen import screen_apis
from flows.show import show
from flows.stage import Done, ended, publish, whole_run
from toolbench.lake import Draft, Lake
from toolbench.services import services
from toolbench.settings import Settings


@flow(name="nightly-refresh", flow_run_name=run_name)
def nightly_refresh(options: Options) -> Done:
    """Collect, instruct, annotate, build, train; then publish everything at once.

    What has not changed since the last night is neither asked nor computed again. Until the very end the last snapshot
    stays the current one.

    Args:
        options: What is to be done, and where; what is empty is as the worker is configured.
    """
    with _night("nightly-refresh", options) as night:
        draft = collect_apis(night.options, night.draft).draft
        if night.settings.screening.nightly:
            draft = screen_apis(night.options, draft).draft
        draft = compress_responses(night.options, draft).draft
        draft = generate_instructions(night.options, draft).draft
        draft = annotate_solutions(night.options, draft).draft
        draft = build_dataset(night.options, draft).draft
        return night.publish(train_retriever(night.options, draft).draft)


@flow(name="add-category", flow_run_name=run_name)
def add_category(category: Annotated[str, Field(min_length=1)], source: Source, options: Options) -> Done:
    """The whole way for one category alone, from the APIs in `source`; the rest of the lake is left as it is.

    Combinations across categories (I3) are left to a run over the whole lake, and so is the retriever.

    Args:
        category: The category as the source names it, for example Weather. APIs of which it names none are put there.
        source: Where its APIs are, as a worker sees it: a toolenv folder or tarball, OpenAPI or Postman documents, also
            on s3://, or an index URL.
        options: What is to be done, and where; what is empty is as the worker is configured. `catalogue` and
            `categories` are not looked at.
    """
    options = options.model_copy(update={"catalogue": source, "categories": [category]})
    with _night("add-category", options) as night:
        draft = collect_apis(night.options, night.draft, category=category).draft
        draft = compress_responses(night.options, draft).draft
        draft = generate_instructions(night.options, draft, collections=False).draft
        draft = annotate_solutions(night.options, draft).draft
        return night.publish(build_dataset(night.options, draft).draft)


@dataclass(frozen=True)
class _Night:
    """A whole run: what its parts are given, and how it ends."""

    flow: str
    lake: Lake
    settings: Settings
    options: Options
    draft: str

    def publish(self, key: str) -> Done:
        """Publish the draft under `key`, show what the night came to, and say so if something is left."""
        draft = self.lake.draft(key)
        after = publish(self.lake, draft, self.flow)
        show(self.lake, self.flow, after, draft.runs)
        return ended(Done(snapshot=after.number, draft=key), draft.runs)


@contextmanager
def _night(flow: str, options: Options) -> Iterator[_Night]:
    with services(options.settings()) as given:
        lake = Lake(given.lake)
        with whole_run(lake, given) as settings:
            yield _Night(flow, lake, settings, options.resolved(settings), lake.put_draft(Draft()))
