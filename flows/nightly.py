"""nightly-refresh and add-category: the whole way from a catalogue to a published dataset."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.annotate import annotate_solutions
from flows.collect import collect_apis
from flows.compress import compress_responses
from flows.dataset import build_dataset
from flows.generate import generate_instructions
from flows.parameters import Options, run_name
from flows.retriever import train_retriever
from flows.screen import screen_apis
from flows.stage import Done, publish
from toolbench.lake import Draft, Lake
from toolbench.services import services


@flow(name="nightly-refresh", flow_run_name=run_name)
def nightly_refresh(options: Options) -> Done:
    """Collect, instruct, annotate, build, train; then publish everything at once.

    What has not changed since the last night is neither asked nor computed again. Until the very end the last snapshot
    stays the current one.

    Args:
        options: What is to be done, and where.
    """
    with services(options.settings()) as settings:
        resolved = options.resolved(settings)
        lake = Lake(settings.lake)
        draft = lake.put_draft(Draft())
        draft = collect_apis(resolved, draft).draft
        if settings.screening.nightly:
            draft = screen_apis(resolved, draft).draft
        draft = compress_responses(resolved, draft).draft
        draft = generate_instructions(resolved, draft).draft
        draft = annotate_solutions(resolved, draft).draft
        draft = build_dataset(resolved, draft).draft
        draft = train_retriever(resolved, draft).draft
        return Done(snapshot=publish(lake, lake.draft(draft), "nightly-refresh").number, draft=draft)


@flow(name="add-category", flow_run_name=run_name)
def add_category(
    category: Annotated[str, Field(min_length=1)], source: Annotated[str, Field(min_length=1)], options: Options
) -> Done:
    """The whole way for one category alone, from the APIs in `source`; the rest of the lake is left as it is.

    Combinations across categories (I3) are left to a run over the whole lake, and so is the retriever.

    Args:
        category: The category, and the name of it for a source that names none.
        source: Where its APIs are: a toolenv folder or tarball, OpenAPI documents, or an index URL.
        options: What is to be done, and where; `catalogue` and `categories` are not looked at.
    """
    options = options.model_copy(update={"catalogue": source, "categories": [category]})
    with services(options.settings()) as settings:
        resolved = options.resolved(settings)
        lake = Lake(settings.lake)
        draft = lake.put_draft(Draft())
        draft = collect_apis(resolved, draft, category=category).draft
        draft = compress_responses(resolved, draft).draft
        draft = generate_instructions(resolved, draft, collections=False).draft
        draft = annotate_solutions(resolved, draft).draft
        draft = build_dataset(resolved, draft).draft
        return Done(snapshot=publish(lake, lake.draft(draft), "add-category").number, draft=draft)
