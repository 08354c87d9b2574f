"""`toolbench retriever`: search, measure, index and train the API retriever."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolbench.cli import options as o
from toolbench.cli.bars import bars
from toolbench.cli.lake import published
from toolbench.cli.retriever_train import train
from toolbench.errors import ToolbenchError, UsageError
from toolbench.lake import Draft, Lake, Snapshot
from toolbench.records import Api
from toolbench.settings import Settings

if TYPE_CHECKING:
    from toolbench.retriever import Corpus, Dense, Searcher

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Search, measure, index and train the retriever.")
app.command()(train)

_MODELS = "serving, bm25, hybrid, minilm, or a model's folder; hybrid:FOLDER fuses that one with BM25"
_SHOWN = ("ndcg@1", "ndcg@3", "ndcg@5", "recall@5", "completeness@5")


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What an API is wanted for.")],
    lake: o.Lake = None,
    top: Annotated[int, typer.Option(min=1, help="APIs at most.")] = 5,
    model: Annotated[str, typer.Option(help=f"What searches: {_MODELS}.")] = "serving",
    category: Annotated[list[str] | None, typer.Option(help="Only of this category; may be repeated.")] = None,
    tool: Annotated[list[str] | None, typer.Option(help="Only of this tool, by id or name; may be repeated.")] = None,
    working: Annotated[bool, typer.Option("--working", help="Only what screening has nothing against.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the APIs of the lake that suit a query best, with their scores.

    Scores are cosines (a model), BM25's, or sums of reciprocal ranks (hybrid): they compare within one search only.

    Example: toolbench retriever search "the weather in Oslo tomorrow" --top 3 --category Weather
    """
    from toolbench.retriever.filters import Filters, allowed

    if not query.strip():
        raise UsageError("The query is empty: say what an API is wanted for.")
    settings = o.settings(lake=lake)
    opened = Lake(settings.lake)
    snapshot = published(opened, None)
    with _of_lake(opened, snapshot, model, settings) as searcher:
        mask = allowed(opened, snapshot, searcher.api_ids, Filters(category or (), tool or (), working))
        (found,) = searcher.rank([query], top, mask)
    apis = {api.id: api for api in opened.pick(snapshot, Api, "id", set(found.api_ids))}
    rows = [(apis[i], score) for i, score in zip(found.api_ids, found.scores, strict=True)]
    if as_json:
        typer.echo(json.dumps([_described(api, score) for api, score in rows], indent=1, ensure_ascii=False))
        return
    if not rows:
        typer.echo("no API was found", err=True)
    for api, score in rows:
        description = " ".join(_plain(api.description).split())
        typer.echo(f"{score:8.4f}  {_plain(api.id)}" + (f"\n          {description[:100]}" if description else ""))


@app.command("eval")
def evaluate(
    lake: o.Lake = None,
    queries: Annotated[
        str | None,
        typer.Option(help="A folder or file of ToolBench's test instructions, or retrieval data. Without: the lake's."),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(help="What is searched: candidates (the queries' own APIs), lake, or a catalogue's path."),
    ] = None,
    tools: Annotated[
        str | None, typer.Option(help="A catalogue that describes the tools of candidates, whose files do not.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help=f"May be repeated: {_MODELS}. Without: bm25.")] = None,
    plot: Annotated[Path | None, typer.Option(help="An SVG or PNG file for bars of NDCG@5.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all figures and intervals.")] = False,
) -> None:
    """Measure retrievers: NDCG, recall and completeness at 1, 3 and 5, with 95% bootstrap intervals over queries.

    Embeddings are kept in the lake, so that a second look costs little.

    Example: toolbench retriever eval --queries test_instruction --model bm25 --model minilm --json
    """
    from toolbench.cli.retrieval_data import case_of
    from toolbench.retriever import measure

    settings = o.settings(lake=lake)
    opened = Lake(settings.lake)
    names = list(dict.fromkeys(model or ["bm25"]))
    own = queries is None or corpus == "lake" or any("serving" in n or n == "hybrid" for n in names)
    snapshot = published(opened, None) if own else Snapshot()
    case = case_of(opened, snapshot, queries, corpus, tools)
    measured: dict[str, Any] = {}
    for name in names:
        searcher = _made(opened, snapshot, name, settings, case.corpus)
        measured[name] = measure(searcher, case.queries).summary(case.queries)
    if plot:
        _draw(measured, plot)
    if as_json:
        about = {"queries": len(case.queries), "apis": len(case.corpus), "unusable": case.unusable}
        typer.echo(json.dumps({**about, "absent": case.absent, "models": measured}, indent=1))
        return
    _print(measured)
    typer.echo(f"{len(case.queries):,} queries, {len(case.corpus):,} APIs")
    if case.unusable:
        typer.echo(f"{case.unusable:,} queries were left out: no text, or no relevant API")
    if case.absent:
        typer.echo(f"{case.absent:,} relevant APIs are not in the corpus and count as missed")


@app.command()
def index(
    lake: o.Lake = None,
) -> None:
    """Bring the index of the model that serves up to date with the lake's APIs, and publish it.

    Only documents that the model has not encoded before are encoded.

    Example: toolbench retriever index --lake s3://bucket/factory
    """
    from toolbench.retriever import INDEX, index_in_lake
    from toolbench.retriever.serving import serving

    opened = Lake(o.settings(lake=lake).lake)
    snapshot = published(opened, None)
    with bars() as show:
        made = index_in_lake(opened, snapshot, serving(opened, snapshot), show)
    opened.publish(Draft(models={INDEX: made.entry}), "index-retriever")
    typer.echo(f"{made.entry.metrics['apis']:,} APIs: encoded {made.encoded:,}, reused {made.reused:,}")
    typer.echo(f"index: {opened.store.url(made.entry.path)}")


@contextmanager
def _of_lake(lake: Lake, snapshot: Snapshot, model: str, settings: Settings) -> Iterator["Searcher"]:
    """What searches the lake's APIs. The serving model's and BM25's indexes are read, not made."""
    from toolbench.retriever import corpus_of, serving

    if model == "serving":
        with serving.dense(lake, snapshot) as found:
            yield found
    elif model == "bm25":
        with serving.bm25(lake, snapshot) as words:
            yield words
    elif model == "hybrid":
        with serving.hybrid(lake, snapshot, settings.fusion) as both:
            yield both
    else:
        corpus = corpus_of(lake, snapshot)
        if not len(corpus):
            raise ToolbenchError(f"The lake {lake.uri} has no APIs to search: run `toolbench refresh` first.")
        yield _made(lake, snapshot, model, settings, corpus)


def _made(lake: Lake, snapshot: Snapshot, model: str, settings: Settings, corpus: "Corpus") -> "Searcher":
    """A searcher over a corpus that need not be the lake's."""
    from toolbench.retriever.lexical import Bm25Index

    if model == "bm25":
        return Bm25Index.of(corpus.words)
    name = "serving" if model == "hybrid" else model.removeprefix("hybrid:")
    dense = _dense(lake, snapshot, name, settings, corpus.documents)
    if name == model:
        return dense
    from toolbench.retriever import Hybrid

    return Hybrid(dense, Bm25Index.of(corpus.words), settings.fusion)


def _dense(lake: Lake, snapshot: Snapshot, name: str, settings: Settings, corpus: dict[str, str]) -> "Dense":
    from toolbench.retriever import Encoder, dense_over, serving

    with bars() as show:
        if name == "serving":
            with serving.opened(lake, serving.serving(lake, snapshot)) as folder:
                encoder = Encoder.load(str(folder))
        elif name == "minilm":
            encoder = Encoder.load(name, settings.retriever.max_tokens)
        elif Path(name).is_dir():
            encoder = Encoder.load(name)
        else:
            raise UsageError(f"There is no model {name!r}: give {_MODELS}.")
        searcher, made = dense_over(lake, encoder, corpus, show)
    typer.echo(f"{name}: encoded {made.encoded:,}, reused {made.reused:,}", err=True)
    return searcher


def _print(measured: dict[str, Any]) -> None:
    width = max(len(name) for name in measured)
    typer.echo(f"{'model':{width}s}  {'slice':12s} {'queries':>7s}  " + "  ".join(f"{m:>14s}" for m in _SHOWN))
    for name, summary in measured.items():
        slices = {"all": summary["all"], **summary["group"], **summary["split"]}
        for part, figures in slices.items():
            cells = "  ".join(f"{_figure(figures[m]):>14s}" for m in _SHOWN)
            typer.echo(f"{name:{width}s}  {part:12s} {figures['queries']:7,}  {cells}")


def _figure(figure: dict[str, float]) -> str:
    """`55.7 ±3.1`: the mean in percent, and half the width of its interval."""
    return f"{100 * figure['mean']:.1f} ±{50 * (figure['high'] - figure['low']):.1f}"


def _draw(measured: dict[str, Any], path: Path) -> None:
    from toolbench.retriever.evaluation import plot

    form = path.suffix.lower().removeprefix(".")
    if form not in ("svg", "png"):
        raise UsageError(f"The plot {path} is neither .svg nor .png: name it so.")
    try:
        path.write_bytes(plot(measured, form=form))  # type: ignore[arg-type]
    except OSError as error:
        raise ToolbenchError(f"The plot cannot be written to {path} ({error.strerror}): name another file.") from error


def _described(api: Api, score: float) -> dict[str, Any]:
    named = {"api_id": api.id, "category": api.category, "tool": api.tool, "name": api.name}
    return {**named, "function": api.function, "description": api.description, "score": score}


def _plain(text: str) -> str:
    """Text of a crawl without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)
