"""Write the report of one snapshot: overview, instructions, samples, solutions with their trees, catalogue."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Conversation, Instruction, Judgment, Solution
from toolbench.report import overview, trees
from toolbench.report.catalogue import catalogue
from toolbench.report.instructions import statistics
from toolbench.report.pages import page_name, render
from toolbench.report.reading import readable
from toolbench.report.retrieval import retriever
from toolbench.report.samples import INSTRUCTIONS_PER_GROUP, sample_instructions, sample_solutions
from toolbench.report.screening import reasons, screening
from toolbench.report.tabular import Table
from toolbench.settings import OFFLINE_MODEL

_MARK = '<meta name="generator" content="toolbench report">'


def build(
    lake: Lake, out: Path, number: int | None = None, *, instructions_per_group: int = INSTRUCTIONS_PER_GROUP
) -> Path:
    """Write static pages over a snapshot (the newest by default) below the folder `out`; returns the first page.

    Of each group `instructions_per_group` instructions are drawn to be read. The same snapshot gives the same bytes.
    Pages open from a file: no script, no network. Solution pages that an earlier report left in `out/solutions` and
    this one does not write are removed. Raises ToolbenchError if nothing was published yet or `out` cannot be written,
    UsageError if there is no snapshot `number`, LakeError if a file of the lake is gone or damaged.
    """
    snapshot = _snapshot(lake, number)
    written = set()
    try:
        for name, page in _pages(lake, snapshot, instructions_per_group):
            target = out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(page, encoding="utf-8", newline="\n")
            written.add(target)
        for old in sorted(set((out / "solutions").glob("*.html")) - written):
            if _MARK in old.read_text(encoding="utf-8", errors="replace")[:2000]:
                old.unlink()
    except OSError as error:
        raise ToolbenchError(f"The report cannot be written to {out} ({error}); name another folder.") from error
    return out / "index.html"


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


def _pages(lake: Lake, snapshot: Snapshot, per_group: int) -> Iterator[tuple[str, str]]:
    """File name and text of every page; the first page comes last, when all it leads to is there."""
    rates = overview.PassRates(lake, snapshot)
    made_by = overview.models(lake, snapshot)
    # Known to every page: where it belongs, and the banner.
    site = {"number": snapshot.number, "created_at": snapshot.created_at, "flow": snapshot.flow, "mark": _MARK}
    site["offline"] = any(row[1] == OFFLINE_MODEL for row in made_by.rows)

    samples = sample_instructions(lake, snapshot, per_group)
    solutions = sample_solutions(lake, snapshot, [i.id for group in samples.values() for i in group])
    yield from _solution_pages(lake, snapshot, site, solutions)
    yield "samples.html", _samples_page(lake, snapshot, site, samples, {s.id for s, _ in solutions})
    yield "instructions.html", render("instructions", site=site, root="", found=statistics(lake, snapshot))
    yield "catalogue.html", render("catalogue", site=site, root="", catalogue=catalogue(lake, snapshot))
    yield "index.html", _overview_page(lake, snapshot, site, rates, made_by)


def _overview_page(
    lake: Lake, snapshot: Snapshot, site: dict[str, Any], rates: overview.PassRates, made_by: Table
) -> str:
    runs = overview.latest_runs(lake, snapshot)
    figures, chart = retriever(lake, snapshot)
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
        "retriever": figures,
        "storage": overview.storage(lake, snapshot),
    }
    counts = {name: snapshot.rows(name) for name in ("tools", "apis", "instructions", "solutions", "conversations")}
    return render("index", site=site, root="", tables=tables, chart=chart, counts=counts, solved=rates.overall[0])


def _samples_page(
    lake: Lake, snapshot: Snapshot, site: dict[str, Any], samples: dict[str, list[Instruction]], shown: set[str]
) -> str:
    wanted = {i.id for group in samples.values() for i in group}
    outcomes = {
        s.instruction_id: (s.outcome, page_name(s.id) if s.id in shown else None)
        for s in lake.pick(snapshot, Solution, "instruction_id", wanted)
    }
    shown_as = readable(lake, snapshot, samples)
    return render(
        "samples", site=site, root="", samples=shown_as, outcomes_of=outcomes, total=snapshot.rows(Instruction.TABLE)
    )


def _solution_pages(
    lake: Lake, snapshot: Snapshot, site: dict[str, Any], solutions: Sequence[tuple[Solution, bool]]
) -> Iterator[tuple[str, str]]:
    ids = {s.id for s, _ in solutions}
    instructions = {i.id: i for i in lake.pick(snapshot, Instruction, "id", {s.instruction_id for s, _ in solutions})}
    conversations = {c.solution_id: c for c in lake.pick(snapshot, Conversation, "solution_id", ids)}
    judgments: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in sorted(lake.pick(snapshot, Judgment, "solution_id", ids), key=lambda j: (j.solution_id, j.vote)):
        judgments[judgment.solution_id].append(judgment)
    for solution, back in solutions:
        page = render(
            "solution",
            site=site,
            root="../",
            solution=solution,
            backtracked=back,
            instruction=instructions.get(solution.instruction_id),
            events=trees.events(solution),
            judgments=judgments[solution.id],
            conversation=conversations.get(solution.id),
        )
        yield f"solutions/{page_name(solution.id)}", page
    listing = render(
        "solutions",
        site=site,
        root="../",
        solutions=solutions,
        instructions=instructions,
        total=snapshot.rows("solutions"),
    )
    yield "solutions/index.html", listing
