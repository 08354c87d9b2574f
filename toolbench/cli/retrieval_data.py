"""What `toolbench retriever` measures and trains with: queries, relevant APIs and a corpus, from files or the lake."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbench.documents import document
from toolbench.errors import SourceError, UsageError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Instruction, RetrievalPair

if TYPE_CHECKING:
    from toolbench.retriever import Queries

CANDIDATES, LAKE = "candidates", "lake"
Find = Callable[[str, str, str], Api | None]


@dataclass(frozen=True, slots=True)
class Case:
    """What searchers are measured on."""

    queries: "Queries"
    corpus: dict[str, str]
    """API id → document."""
    unusable: int
    """Queries left out: no text, or no relevant API."""
    absent: int
    """Relevant APIs that the corpus does not have: they count as missed."""


def case_of(lake: Lake, snapshot: Snapshot, queries: str | None, corpus: str | None) -> Case:
    """The held-out queries of the lake, or those of files, over a corpus.

    Raises UsageError or SourceError, naming the file, for what cannot be read.
    """
    from toolbench.retriever import Queries
    from toolbench.retriever.layout import is_layout

    if queries is None:
        if corpus not in (None, LAKE):
            raise UsageError(f"The lake's own queries are searched for in the lake, not in {corpus}: give --queries.")
        held_out = [p for p in lake.rows(snapshot, RetrievalPair) if p.split != "train"]
        found = {api.id: document(api) for api in lake.rows(snapshot, Api)}
        return _checked(Case(Queries.of(held_out), found, 0, 0), f"the lake {lake.uri}")
    path = Path(queries)
    if not path.exists():
        raise UsageError(f"The queries {queries} are not there: give a folder or file in ToolBench's layout.")
    if path.is_dir() and is_layout(path):
        return _checked(_of_layout(path, _corpus(lake, snapshot, corpus)), queries)
    return _checked(_of_instructions(path, _corpus(lake, snapshot, corpus)), queries)


def _checked(case: Case, where: str) -> Case:
    if not len(case.queries):
        raise SourceError(f"There is no query with a relevant API in {where}: nothing can be measured.")
    if not case.corpus:
        raise SourceError("The corpus holds no API: there is nothing to search.")
    return case


def _corpus(lake: Lake, snapshot: Snapshot, corpus: str | None) -> list[Api] | None:
    """The APIs to search; None for those of the queries' own files."""
    if corpus in (None, CANDIDATES):
        return None
    if corpus == LAKE:
        return list({api.id: api for api in lake.rows(snapshot, Api)}.values())
    from toolbench.catalogue import Holdout, read

    return list(read(str(corpus), holdout=Holdout()).apis)


def _of_instructions(path: Path, corpus: list[Api] | None) -> Case:
    """ToolBench's test files: each file's name says group and split."""
    from toolbench.catalogue import Lookup, apis_of_instructions
    from toolbench.instructions import native

    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise SourceError(f"The folder {path} holds no .json file of queries and no corpus.tsv: give ToolBench's.")
    entries = {file.stem: native.read(str(file)) for file in files}
    apis = apis_of_instructions([entry for found in entries.values() for entry in found]).apis
    find = Lookup(apis).find
    rows = [row for label, found in entries.items() for row in native.instructions(found, label, find)]
    total = sum(map(len, entries.values()))
    return _case([r for r in rows if r.relevant], total, {a.id: a for a in apis}, corpus)


def _case(rows: Sequence[Instruction], total: int, own: dict[str, Api], corpus: list[Api] | None) -> Case:
    from toolbench.retriever import Queries

    known, name = _naming(own.values(), corpus)
    queries = Queries({}, {})
    for row in rows:
        queries.add(row.id, row.text, [name(own[i]) for i in row.relevant], row.group, row.split)
    return Case(queries, known, total - len(rows), _absent(queries, known))


def _of_layout(folder: Path, corpus: list[Api] | None) -> Case:
    """A folder of retrieval data: its test queries, else its training queries are no measure and are refused."""
    from toolbench.retriever import Queries
    from toolbench.retriever.layout import read

    data = read(folder)
    if not data.test.queries:
        raise SourceError(f"{folder} has no test.query.txt: what was trained on is no measure.")
    own = apis_of_documents(data.documents)
    known, name = _naming(own.values(), corpus)
    queries, unusable = Queries({}, {}), 0
    for qid, text in data.test.queries.items():
        relevant = [name(own[i]) for i in data.test.relevant.get(qid, []) if i in own]
        if relevant:
            queries.add(str(qid), text, relevant, "", "")
        else:
            unusable += 1
    return Case(queries, known, unusable, _absent(queries, known))


def apis_of_documents(documents: dict[int, dict[str, Any]]) -> dict[int, Api]:
    """The APIs that numbered documents describe; those that cannot be used are left out."""
    from toolbench.catalogue import Lookup, apis_of_instructions

    find = Lookup(apis_of_instructions([{"api_list": list(documents.values())}]).apis).find
    found = {n: find(*(str(d.get(k, "")) for k in _NAMES)) for n, d in documents.items()}
    return {n: api for n, api in found.items() if api is not None}


_NAMES = ("category_name", "tool_name", "api_name")


def _naming(own: Iterable[Api], corpus: list[Api] | None) -> tuple[dict[str, str], Callable[[Api], str]]:
    """The documents to search, and what an API of the queries' files is called among them."""
    if corpus is None:
        return {api.id: document(api) for api in own}, lambda api: api.id
    from toolbench.catalogue import Lookup

    find = Lookup(corpus).find

    def name(api: Api) -> str:
        there = find(api.category, api.tool, api.name)
        return there.id if there else f"absent/{api.id}"

    return {api.id: document(api) for api in corpus}, name


def _absent(queries: "Queries", corpus: dict[str, str]) -> int:
    return len({i for relevant in queries.relevant.values() for i in relevant} - corpus.keys())
