"""evaluate: how good a model is at the instructions that are held out."""

from collections.abc import Sequence
from typing import Annotated, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from pydantic import Field

from flows.annotate import import_file
from flows.parameters import Manifest, Options, run_name
from flows.stage import Done, Threads, publish, run_shards, whole_run
from tasks.annotate import annotate_shard
from tasks.evaluate import compare_shard, vote_shard
from toolbench import solutions
from toolbench.errors import BudgetError, UsageError
from toolbench.instructions.export import query_ids
from toolbench.lake import Draft, Lake, Outcome, Receipt, Snapshot, Spec
from toolbench.report.leaderboard import markdown
from toolbench.schemas import as_dict
from toolbench.services import services
from toolbench.settings import Settings
from toolbench.tooleval import comparing, gate, voting
from toolbench.tooleval.answers import matched
from toolbench.tooleval.evaluate import Evaluated, WorkOn, pass_rate, win_rate
from toolbench.tooleval.gathering import Gathered, LakeQueries
from toolbench.tooleval.leaderboard import board
from toolbench.tooleval.runs import EvaluationRun, PassRun, WinRun
from toolbench.tooleval.storing import runs_of
from toolbench.tooleval.test_set import held_out

NAME = "evaluate"
Method = Literal["react", "dfsdt", "ranked"]
_TASKS = {voting.STAGE: vote_shard, comparing.STAGE: compare_shard}


@flow(name=NAME, flow_run_name=run_name, task_runner=Threads)
def evaluate(
    options: Options,
    model: str = "",
    base_url: str = "",
    methods: list[Method] = ["react", "dfsdt"],  # noqa: B006 - Prefect shows the default, and nobody changes it
    instructions: list[str] = [],  # noqa: B006
    splits: list[str] = [],  # noqa: B006
    name: str = "",
    least: Annotated[float, Field(ge=0, le=1)] | None = None,
    reference: str = "",
    manifest: Manifest = "",
) -> Done:
    """Search answers with a model, judge them, publish the results; then fail if they are not good enough.

    Args:
        options: What is to be done, and where. The judge is the one of the settings: the teacher, if they name none.
        model: The model that is evaluated. Empty: the teacher.
        base_url: Its endpoint, ending in /v1. Empty: the teacher's.
        methods: How it searches; the last one is the one that `least` and `reference` are about.
        instructions: Files of instructions in ToolBench's layout. Empty: what the lake holds out.
        splits: Only these, for example G1_instruction. Empty: all that is held out.
        name: What the results are called, with the method behind it. Empty: the model.
        least: The pass rate over all queries that is asked for, 0 to 1. Empty: any.
        reference: An earlier result in the lake that the new one must not be worse than. Empty: none.
        manifest: The snapshot that is evaluated, by its manifest's address as the event toolbench.dataset.published
            names it; it goes before `options.lake`. Empty: the newest.
    """
    if not methods:
        raise UsageError("There is no method to search with: name react, dfsdt or ranked.")
    options, number = options.of_manifest(manifest)
    with services(options.settings()) as given, whole_run(Lake(given.lake), given) as settings:
        lake, draft = Lake(settings.lake), Draft()
        for path in instructions:
            draft = import_file(lake, draft, settings, path, None)
        base = lake.snapshot(number)
        before = _named(runs_of(lake, base), reference, lake)
        view = held_out(lake, _only(draft.view(base), instructions, draft), splits)
        work = worker(lake, settings)
        found: list[Evaluated] = []
        for method in methods:
            searcher = searching(settings, model, base_url, method)
            gathered = answers(lake, view, searcher, draft)
            called = f"{name or searcher.teacher.model} {method}"
            found.append(pass_rate(lake, base, settings, gathered, draft, work, name=called))
        wins = [win_rate(lake, settings, found[-1], other, draft, work)[0] for other in found[:-1]]
        _show(found, wins)
        done = Done(draft=lake.put_draft(draft), snapshot=publish(lake, draft, NAME).number)
        gate.check(found[-1].run, least=least, reference=before)
        return done


def searching(settings: Settings, model: str, base_url: str, method: Method) -> Settings:
    """Settings whose teacher is the model that is evaluated. The teacher's key goes to no other endpoint."""
    changed = {"model": model or settings.teacher.model}
    if base_url and base_url != settings.teacher.base_url:
        changed |= {"base_url": base_url, "endpoints": {}, "api_key": ""}  # type: ignore[dict-item]
    return settings.with_(teacher=changed, search={"method": method})


def _only(view: Snapshot, files: Sequence[str], draft: Draft) -> Snapshot:
    """`view` with the instructions of these files alone, if there are any."""
    if not files:
        return view
    mine = draft.partitions("instructions", view)
    kept = [e for e in view.entries("instructions") if e.partition in mine]
    return view.model_copy(update={"tables": {**view.tables, "instructions": kept}})


def answers(lake: Lake, view: Snapshot, searcher: Settings, draft: Draft) -> Gathered:
    """What the model answers to the instructions of `view`. Its solutions stay out of the lake's own."""
    partitions = list({tuple(e.partition.items()): e.partition for e in view.entries("instructions")}.values())
    specs = solutions.plan(lake, view, searcher, partitions=partitions)
    outcome = _whole(run_shards(lake, annotate_shard, specs, searcher, solutions.STAGE, teacher=True))
    draft.runs.append(as_dict(outcome.run(NAME, searcher.teacher.model)))
    known = LakeQueries(lake, view).instructions()
    queries = LakeQueries(lake, view, query_ids(row.id for _, row in known))
    wanted = {row.id: queries.query(partition, row) for partition, row in known}
    entries = [r.tables["solutions"] for r in outcome.receipts if "solutions" in r.tables]
    rows, _ = matched(wanted.values(), queries.answers(wanted, entries, NAME))
    label = f"{searcher.teacher.model}, {searcher.search.method}"
    return Gathered(rows, label, earlier=sorted({e.spec for e in view.entries("judgments")}))


def worker(lake: Lake, settings: Settings) -> WorkOn:
    """Shards as Prefect tasks, asked of the judge."""
    judge = settings.as_judge()

    def work(stage: str, specs: Sequence[Spec]) -> list[Receipt]:
        return _whole(run_shards(lake, _TASKS[stage], specs, judge, stage, teacher=True)).receipts

    return work


def _whole(outcome: Outcome) -> Outcome:
    """A rate over a part of the queries is none. Raises BudgetError if the budget was used up before."""
    if outcome.stopped:
        raise BudgetError(f"{outcome.stopped} {len(outcome.left)} shards of {outcome.stage} are left.")
    return outcome


def _named(runs: Sequence[EvaluationRun], name: str, lake: Lake) -> PassRun | None:
    """The pass rate of this name. Raises UsageError naming those there are if it is none of them."""
    known = {run.name: run for run in runs if isinstance(run, PassRun)}
    if name and name not in known:
        raise UsageError(f"There is no result {name!r} in {lake.uri}; there are: {', '.join(known) or 'none'}.")
    return known.get(name)


def _show(found: Sequence[Evaluated], wins: Sequence[WinRun]) -> None:
    rows = [
        {"run": one.run.name, "split": s.split, "queries": s.queries, "missing": len(s.missing)}
        | {"pass rate": s.pass_rate.percent(), "judge": one.run.fingerprint}
        for one in found
        for s in one.run.splits
    ]
    create_table_artifact(table=rows, key="evaluation", description="Pass rates with their 95% intervals")
    shown = markdown(board([*(one.run for one in found), *wins]))
    create_markdown_artifact(shown, key="leaderboard", description="Methods by splits")
