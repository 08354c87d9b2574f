"""`toolbench tooleval apibench`: does a model call the right API where it was not trained to?"""

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from toolbench.cli import options as o
from toolbench.errors import LakeError, UsageError
from toolbench.lake import Draft, Lake, Receipt
from toolbench.records import ApiBenchAnswer
from toolbench.settings import Settings

if TYPE_CHECKING:
    from toolbench.tooleval.apibench import Asking, Bench, Figures, Retrieve

_MODES = ("none", "bm25", "oracle", "retriever")


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(apibench)


def apibench(
    data: Annotated[Path, typer.Option(help="The folder with APIBench's *_eval.jsonl and *_api.jsonl.")],
    name: Annotated[str, typer.Option("--set", help="huggingface, torchhub, tensorflowhub or all.")] = "all",
    documents: Annotated[
        str, typer.Option(help="What the model is shown: none, bm25, oracle, or what the lake's retriever finds.")
    ] = "none",
    top: Annotated[int, typer.Option(min=1, help="Documents shown by bm25 or retriever.")] = 1,
    limit: Annotated[int, typer.Option(min=0, help="Questions of each set; 0: all.")] = 0,
    answers: Annotated[Path | None, typer.Option(help="Score these stored answers (JSON lines), ask nobody.")] = None,
    lake: o.Lake = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the outcome of every question.")] = False,
) -> None:
    """Ask a model APIBench's questions and compare the call it writes with the reference, as syntax trees.

    Replies are kept in the lake (table apibench_answers) and journaled: the same command again asks nothing.

    Example: toolbench tooleval apibench --data apibench --set torchhub --documents bm25 --limit 20
    """
    from toolbench.tooleval.apibench import SETS, figures, load, score, stored

    if documents not in _MODES:
        raise UsageError(f"There are no documents by {documents!r}; choose one of {', '.join(_MODES)}.")
    benches = [load(data, one) for one in (SETS if name == "all" else (name,))]
    questions = [question for bench in benches for question in bench.questions[: limit or None]]
    if not questions:
        raise UsageError(f"{data} holds no question: name another folder in --data.")
    settings = o.settings(lake=lake, teacher__model=model, teacher__base_url=base_url)
    found = stored(answers, questions) if answers else _asked(benches, settings, documents, top, limit)
    scored = score(benches, found, questions)
    results = figures(scored, seed=settings.seed)
    if as_json:
        outcomes = {s.question.id: s.match.outcome for s in scored}
        typer.echo(json.dumps({"sets": [f.as_dict() for f in results], "outcomes": outcomes}, indent=1))
    else:
        _print(results)


def _asked(benches: "Sequence[Bench]", settings: Settings, documents: str, top: int, limit: int) -> Mapping[str, str]:
    """Question id → answer, from the model or from what it was asked before."""
    from toolbench.services import services
    from toolbench.tooleval.apibench import TABLES, plan

    lake = Lake(settings.lake)
    askings = [
        asking
        for bench in benches
        for asking in plan(
            bench,
            settings,
            documents=documents,  # type: ignore[arg-type]
            top=top,
            limit=limit,
            retrieve=_retrieve(bench, lake, documents),
        )
    ]
    before = {asking.spec.digest: lake.receipt(asking.spec.digest) for asking in askings}
    receipts = [receipt for receipt in before.values() if receipt]
    missing = [asking for asking in askings if not before[asking.spec.digest]]
    if missing:
        # The hub is not needed: a source that is named is not started.
        with services(settings.with_(catalogue={"source": settings.catalogue.source or "none"})) as effective:
            receipts += _work(lake, missing, effective)
    for receipt in receipts:
        receipt.check(TABLES[0])
    draft = Draft()
    draft.add(receipts, TABLES)
    lake.publish(draft, "apibench")
    entries = [receipt.tables[TABLES[0]] for receipt in receipts if TABLES[0] in receipt.tables]
    return {row.question_id: row.text for row in lake.read(entries, ApiBenchAnswer)}


def _work(lake: Lake, askings: "Sequence[Asking]", settings: Settings) -> list[Receipt]:
    from toolbench.tooleval.apibench import ask

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task("questions", total=sum(asking.spec.size for asking in askings))
        receipts = []
        for asking in askings:
            lake.put_spec(asking.spec)
            receipts.append(asyncio.run(ask(lake, asking, settings, lambda: bars.advance(bar))))
    return receipts


def _retrieve(bench: "Bench", lake: Lake, documents: str) -> "Retrieve | None":
    """What finds documents for a question: BM25, or the encoder of the lake's retriever."""
    from toolbench.tooleval.apibench import by_bm25

    if documents == "bm25":
        return by_bm25(bench.documents)
    if documents != "retriever":
        return None
    from toolbench.retriever import MODEL, Encoder, Index

    snapshot = lake.snapshot()
    if MODEL not in snapshot.models:
        raise LakeError(
            f"Snapshot {snapshot.number} of {lake.uri} has no retriever: run `toolbench refresh`, which trains one, or "
            "take --documents bm25."
        )
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder.load(str(lake.get_model(snapshot.models[MODEL], Path(folder))))
    index = Index([f"{n:06d}" for n in range(len(bench.documents))], encoder.encode([d.text for d in bench.documents]))

    def retrieve(query: str, k: int) -> list[int]:
        return [int(name) for name in index.search(encoder.encode([query]), k)[0][0]]

    return retrieve


def _print(results: "Sequence[Figures]") -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("set", "questions", "AST match", "right domain", "hallucination", "no call", "unanswered"):
        table.add_column(column, justify="left" if column == "set" else "right")
    for f in results:
        rates = (f.ast, f.functional, f.hallucination, f.no_call)
        table.add_row(f.set, f"{f.questions:,}", *(r.percent() for r in rates), str(len(f.missing)))
    Console(width=140, highlight=False).print(table)
    if missing := [question for f in results if f.set != "all" for question in f.missing]:
        typer.echo(f"unanswered, counted as misses: {', '.join(missing[:20])}{' …' if len(missing) > 20 else ''}")
