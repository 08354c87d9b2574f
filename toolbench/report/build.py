"""Write the report of one snapshot: pages, and the data files that they load."""

from pathlib import Path

from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Instruction, Solution
from toolbench.report import catalogue, overview, solutions
from toolbench.report.agreement import Compared
from toolbench.report.changes import changes
from toolbench.report.evaluation import evaluations
from toolbench.report.instructions import statistics
from toolbench.report.pass_rates import PassRates
from toolbench.report.reading import readable
from toolbench.report.retrieval import Retriever, retriever
from toolbench.report.samples import INSTRUCTIONS_PER_GROUP, sample_instructions
from toolbench.report.screening import reasons, screening
from toolbench.report.site import Site
from toolbench.report.tabular import Table
from toolbench.settings import OFFLINE_MODEL

PAGES = (
    ("Overview", "index.html"), ("Solutions", "solutions.html"), ("Instructions", "instructions.html"),
    ("Samples", "samples.html"), ("Catalogue", "catalogue.html"), ("Retriever", "retriever.html"),
    ("Evaluation", "evaluation.html"),
)  # fmt: skip


def build(
    lake: Lake,
    out: Path,
    number: int | None = None,
    *,
    instructions_per_group: int = INSTRUCTIONS_PER_GROUP,
    labels: Path | None = None,
    live: bool = False,
    answers: str = "",
) -> Path:
    """Write the pages of a snapshot (the newest by default) below the folder `out`; returns the first page.

    Of each group `instructions_per_group` instructions are drawn to be read. `labels`: a file of people's labels, for
    the page on which judges are compared with them. `live`: for a server that tells what is new. `answers`: what to
    call the report of a folder of ToolBench's answer files. The same snapshot gives the same bytes; pages open from a
    file and load nothing but the report's own files. The data of an earlier report in `out` are replaced.

    Raises ToolbenchError if nothing was published yet or `out` cannot be written, UsageError if there is no snapshot
    `number`, SourceError if `labels` cannot be read, LakeError if a file of the lake is gone or damaged.
    """
    snapshot = _snapshot(lake, number)
    compared = Compared.read(labels, lake, snapshot) if labels else None
    made_by = overview.models(lake, snapshot)
    values = {
        "number": snapshot.number,
        "created_at": snapshot.created_at,
        "flow": snapshot.flow,
        "offline": any(row[1] == OFFLINE_MODEL for row in made_by.rows),
        "live": live,
        "answers": answers,
        "pages": [*PAGES, ("Judges", "judges.html")] if compared else list(PAGES),
    }
    site = Site(out, values)
    try:
        site.open()
        samples = sample_instructions(lake, snapshot, instructions_per_group)
        written = solutions.write(lake, snapshot, site.data, {i.id for group in samples.values() for i in group})
        site.page("solutions", buckets=written.buckets, total=snapshot.rows(Solution.TABLE))
        site.page("solution", buckets=written.buckets)
        shown_as, total = readable(lake, snapshot, samples), snapshot.rows(Instruction.TABLE)
        site.page("samples", samples=shown_as, outcomes_of=written.of, total=total)
        apis, by_category = catalogue.write(lake, snapshot, site.data), catalogue.catalogue(lake, snapshot)
        site.page("catalogue", buckets=apis, total=snapshot.rows(Api.TABLE), found=by_category)
        site.page("instructions", found=statistics(lake, snapshot))
        found = retriever(lake, snapshot)
        site.page("retriever", found=found)
        site.page("evaluation", found=evaluations(lake, snapshot))
        if compared:
            site.page("judges", **compared.values())
        # Last, when all it leads to is there.
        return _overview(lake, snapshot, site, made_by, found)
    except OSError as error:
        raise ToolbenchError(f"The report cannot be written to {out} ({error}); name another folder.") from error


def _snapshot(lake: Lake, number: int | None) -> Snapshot:
    numbers = lake.numbers()
    if not numbers:
        raise ToolbenchError(
            f"No report can be made, since nothing was published to {lake.uri} yet: run `toolbench refresh` first."
        )
    if number is not None and number not in numbers:
        known = ", ".join(map(str, numbers[-10:]))
        raise UsageError(f"There is no snapshot {number} in {lake.uri}; choose one of {known}.")
    return lake.snapshot(number)


def _overview(lake: Lake, snapshot: Snapshot, site: Site, made_by: Table, found: Retriever) -> Path:
    rates = PassRates(lake, snapshot)
    runs = overview.latest_runs(lake, snapshot)
    has = {name: bool(snapshot.rows(name)) for name in ("rejects", "solutions", "api_calls")}
    split = overview.splits(lake, snapshot)
    tables = {
        "funnel": overview.funnel(lake, snapshot, runs) if runs else None,
        "rejects": overview.rejects(lake, snapshot, runs) if has["rejects"] else None,
        "by_group": rates.by_group() if has["solutions"] else None,
        "by_topic": rates.by_topic() if has["solutions"] else None,
        "teacher": overview.teacher(lake, snapshot, runs) if runs else None,
        "models": made_by if made_by.rows else None,
        "splits": split if split.rows else None,
        "api_calls": overview.api_calls(lake, snapshot) if has["api_calls"] else None,
        "screening": screening(lake, snapshot),
        "reasons": reasons(lake, snapshot),
        "storage": overview.storage(lake, snapshot),
    }
    counts = {name: snapshot.rows(name) for name in ("tools", "apis", "instructions", "solutions", "conversations")}
    return site.page(
        "index",
        tables=tables,
        charts=rates.charts() if has["solutions"] else [],
        changes=changes(lake, snapshot),
        counts=counts,
        solved=rates.overall[0],
        headline=found.headline,
    )
