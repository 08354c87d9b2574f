"""annotate-solutions: search solution paths for instructions, and judge the answers."""

import dataclasses
import time
from pathlib import Path

from prefect import flow

from flows.parameters import Options, run_name
from flows.stage import Done, Threads, carry_out, clear, finish, run_shards
from tasks.annotate import annotate_shard
from tasks.judge import judge_shard
from toolbench import catalogue, instructions, solutions, tooleval
from toolbench.digests import digest
from toolbench.errors import UsageError
from toolbench.lake import Draft, Lake, Outcome
from toolbench.records import Api, Instruction
from toolbench.settings import Settings

NAME = "annotate-solutions"


@flow(name=NAME, flow_run_name=run_name, task_runner=Threads)
def annotate_solutions(options: Options, draft: str | None = None) -> Done:
    """Search a solution path for every instruction, and have a judge look at every answer.

    Args:
        options: What is to be done, and where.
        draft: For flows that call this one: the change so far. Empty: publish at the end.
    """
    return carry_out(NAME, options, draft, annotate if draft else _annotate_all)


@flow(name="annotate-instructions", flow_run_name=run_name, task_runner=Threads)
def annotate_file(options: Options, path: str, limit: int | None = None) -> Done:
    """The same for the instructions of a file in ToolBench's layout, which carry their API documents.

    Args:
        options: What is to be done, and where.
        path: The file, as the worker sees it.
        limit: Only so many instructions, the first ones. Empty: all.
    """

    def stage(lake: Lake, draft: Draft, settings: Settings) -> Draft:
        return annotate(lake, import_file(lake, draft, settings, path, limit), settings)

    return carry_out("annotate-instructions", options, None, stage)


def _annotate_all(lake: Lake, draft: Draft, settings: Settings) -> Draft:
    """Raises UsageError if the lake has no instructions."""
    if not lake.snapshot().rows(Instruction.TABLE):
        raise UsageError(
            f"The lake {lake.uri} has no instructions yet: run `toolbench instruct` first, or name a file of them."
        )
    return annotate(lake, draft, settings)


def annotate(lake: Lake, draft: Draft, settings: Settings) -> Draft:
    """The two stages themselves, for the instructions that the draft is about, or all that the lake has."""
    base, model = lake.snapshot(), settings.teacher.model
    # Imported answers came with their solutions.
    partitions = [p for p in draft.partitions("instructions", base) if "answers" not in p]
    specs = solutions.plan(lake, draft.view(base), settings, partitions=partitions)
    searched = run_shards(lake, annotate_shard, specs, settings, solutions.STAGE, teacher=True)
    draft = finish(draft, searched, flow=NAME, main="solutions", tables=solutions.TABLES, model=model)
    specs = tooleval.plan(draft.view(base), settings, partitions=partitions)
    judge = settings.as_judge()
    judged = run_shards(lake, judge_shard, specs, judge, tooleval.STAGE, teacher=True)
    judged.votes = max(1, settings.judge.votes)
    # Judgments of answers that are gone, or that nobody wants judged any more, say nothing.
    voted = [spec.partition for spec in specs]
    clear(draft, base, tooleval.STAGE, tooleval.TABLES, lambda p: p in partitions and p not in voted)
    return finish(draft, judged, flow=NAME, main="judgments", tables=tooleval.TABLES, model=judge.teacher.model)


def import_file(lake: Lake, draft: Draft, settings: Settings, path: str, limit: int | None) -> Draft:
    """A file's instructions and their APIs in the lake, in partitions of their own; what the configured catalogue
    knows better about those APIs (address, response schema) is taken from there."""
    started = time.monotonic()
    entries = instructions.native.read(path, limit)
    label = Path(path).stem
    found = catalogue.apis_of_instructions(entries)
    source = settings.catalogue.source
    if source and "://" not in source:
        known = catalogue.Lookup(catalogue.read(source, holdout=catalogue.Holdout()).apis)
        found = dataclasses.replace(found, apis=[_completed(api, known) for api in found.apis])
    receipts, reused = catalogue.write(lake, found, {"instructions": label})
    collected = Outcome(catalogue.STAGE, receipts, reused, time.monotonic() - started)
    draft = finish(draft, collected, flow=NAME, main="apis", tables=catalogue.TABLES, model="")
    by_name = catalogue.Lookup(found.apis)
    receipt = instructions.native.write(lake, entries, label, by_name.find, {"instructions": label})
    imported = Outcome(instructions.STAGE, [receipt], 0, time.monotonic() - started - collected.seconds)
    return finish(draft, imported, flow=NAME, main="instructions", tables=instructions.TABLES, model="")


def _completed(api: Api, known: catalogue.Lookup) -> Api:
    other = known.find(api.category, api.tool, api.name)
    if other is None:
        return api
    return dataclasses.replace(
        api,
        url=other.url or api.url,
        response_schema=other.response_schema or api.response_schema,
        response_example=other.response_example or api.response_example,
        digest=digest([api.digest, other.digest]),
    )
