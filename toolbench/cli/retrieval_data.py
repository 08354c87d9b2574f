"""What `toolbench retriever` measures and trains with: queries, relevant APIs and a corpus, from files or the lake."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from toolbench.documents import document
from toolbench.errors import SourceError, UsageError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Instruction, RetrievalPair, Tool

if TYPE_CHECKING:
    from toolbench.retriever import Corpus, Queries

CANDIDATES, LAKE = "candidates", "lake"
Find = Callable[[str, str, str], Api | None]


@dataclass(frozen=True, slots=True)
class Case:
    """What searchers are measured on."""

    queries: "Queries"
    corpus: "Corpus"
    unusable: int
    """Queries left out: no text, or no relevant API."""
    candidates: frozenset[str]
    """Ids, in the corpus, of the APIs that the queries' files describe."""
    absent: int
    """Relevant APIs that the corpus does not have: they count as missed."""


def case_of(lake: Lake, snapshot: Snapshot, queries: str | None, corpus: str | None, tools: str | None = None) -> Case:
    """The held-out queries of the lake, or those of files, over a corpus.

    Where the files' own APIs are searched, `tools` is a catalogue that knows their tools' descriptions.

    Raises UsageError or SourceError, naming the file, for what cannot be read.
    """
    from toolbench.retriever import Queries, corpus_of
    from toolbench.retriever.layout import is_layout

    if tools is not None and (queries is None or corpus not in (None, CANDIDATES)):
        raise UsageError("With --tools the queries' own APIs are searched: give --queries, and no --corpus.")
    if queries is None:
        if corpus not in (None, LAKE):
            raise UsageError(f"The lake's own queries are searched for in the lake, not in {corpus}: give --queries.")
        held_out = [p for p in lake.rows(snapshot, RetrievalPair) if p.split != "train"]
        found = corpus_of(lake, snapshot)
        return _checked(Case(Queries.of(held_out), found, 0, frozenset(found.words), 0), f"the lake {lake.uri}")
    path = Path(queries)
    if not path.exists():
        raise UsageError(f"The queries {queries} are not there: give a folder or file in ToolBench's layout.")
    read = _of_layout if path.is_dir() and is_layout(path) else _of_instructions
    about = _catalogue(tools).tools if tools is not None else ()
    return _checked(read(path, _searched(lake, snapshot, corpus), about), queries)


def _checked(case: Case, where: str) -> Case:
    if not len(case.queries):
        raise SourceError(f"There is no query with a relevant API in {where}: nothing can be measured.")
    if not len(case.corpus):
        raise SourceError("The corpus holds no API: there is nothing to search.")
    return case


class Searched(NamedTuple):
    """APIs to search, and tools whose descriptions are known."""

    apis: Sequence[Api]
    tools: Sequence[Tool]


def _searched(lake: Lake, snapshot: Snapshot, corpus: str | None) -> Searched | None:
    """The APIs of the lake or of a catalogue; None for those of the queries' own files."""
    if corpus in (None, CANDIDATES):
        return None
    if corpus == LAKE:
        return Searched(
            list({api.id: api for api in lake.rows(snapshot, Api)}.values()), list(lake.rows(snapshot, Tool))
        )
    return _catalogue(str(corpus))


def _catalogue(source: str) -> Searched:
    from toolbench.catalogue import Holdout, read

    found = read(source, holdout=Holdout())
    return Searched(found.apis, found.tools)


def _of_instructions(path: Path, corpus: Searched | None, about: Sequence[Tool] = ()) -> Case:
    """ToolBench's test files: each file's name says group and split. `about` are the tools of the files' own APIs."""
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
    return _case([r for r in rows if r.relevant], total, Searched(apis, about), corpus)


def _case(rows: Sequence[Instruction], total: int, files: Searched, corpus: Searched | None) -> Case:
    from toolbench.retriever import Corpus, Queries

    own = {api.id: api for api in files.apis}
    known, name = Corpus.of(*(corpus or files)), _naming(corpus)
    queries = Queries({}, {})
    for row in rows:
        queries.add(row.id, row.text, [name(own[i]) for i in row.relevant], row.group, row.split)
    candidates = frozenset(name(api) for api in own.values()) & known.words.keys()
    return Case(queries, known, total - len(rows), candidates, _absent(queries, known))


def _of_layout(folder: Path, corpus: Searched | None, about: Sequence[Tool] = ()) -> Case:
    """A folder of retrieval data: its test queries, else its training queries are no measure and are refused."""
    from toolbench.retriever import Corpus, Queries
    from toolbench.retriever.layout import read

    data = read(folder)
    if not data.test.queries:
        raise SourceError(f"{folder} has no test.query.txt: what was trained on is no measure.")
    own = apis_of_documents(data.documents)
    known, name = Corpus.of(*(corpus or Searched(list(own.values()), about))), _naming(corpus)
    queries, unusable = Queries({}, {}), 0
    for qid, text in data.test.queries.items():
        relevant = [name(own[i]) for i in data.test.relevant.get(qid, []) if i in own]
        if relevant:
            queries.add(str(qid), text, relevant, "", "")
        else:
            unusable += 1
    candidates = frozenset(name(api) for api in own.values()) & known.words.keys()
    return Case(queries, known, unusable, candidates, _absent(queries, known))


def apis_of_documents(documents: dict[int, dict[str, Any]]) -> dict[int, Api]:
    """The APIs that numbered documents describe; those that cannot be used are left out."""
    from toolbench.catalogue import Lookup, apis_of_instructions

    find = Lookup(apis_of_instructions([{"api_list": list(documents.values())}]).apis).find
    found = {n: find(*(str(d.get(k, "")) for k in _NAMES)) for n, d in documents.items()}
    return {n: api for n, api in found.items() if api is not None}


_NAMES = ("category_name", "tool_name", "api_name")


def _naming(corpus: Searched | None) -> Callable[[Api], str]:
    """What an API of the queries' files is called among those that are searched."""
    if corpus is None:
        return lambda api: api.id
    from toolbench.catalogue import Lookup

    find = Lookup(corpus.apis).find

    def name(api: Api) -> str:
        there = find(api.category, api.tool, api.name)
        return there.id if there else f"absent/{api.id}"

    return name


def _documents(apis: Iterable[Api]) -> dict[str, str]:
    return {api.id: document(api) for api in apis}


def _absent(queries: "Queries", corpus: "Corpus") -> int:
    return len({i for relevant in queries.relevant.values() for i in relevant} - corpus.words.keys())


@dataclass(frozen=True, slots=True)
class Training:
    """What a model is trained with."""

    pairs: list[RetrievalPair]
    corpus: dict[str, str]
    """API id → document: what negatives are drawn from."""
    searched: dict[str, str]
    """Those that are searched to measure the model: the pairs' APIs and the test's candidates, as a whole crawl would
    take longer to encode than the training."""
    unusable: int
    """Queries or APIs of the files that were left out: not to be read, or not in the corpus."""


def training_of(lake: Lake, snapshot: Snapshot, pairs: str | None, corpus: str | None, test: str | None) -> Training:
    """Pairs of the lake or of files, with those of `test`, a folder of ToolBench's test files, held out.

    `pairs` is a folder of retrieval data, one of ToolBench's query files, or a list of `{"query", "query_id",
    "relevant": [[category, tool, API], …]}`, whose APIs are described by `corpus`. Raises UsageError or SourceError.
    """
    if pairs is None:
        found = _documents(lake.rows(snapshot, Api))
        return Training(list(lake.rows(snapshot, RetrievalPair)), found, found, 0)
    path = Path(pairs)
    if not path.exists():
        raise UsageError(f"The pairs {pairs} are not there: give a folder or file in ToolBench's layout.")
    apis = _searched(lake, snapshot, corpus)
    made = _pairs_of_layout(path, apis) if path.is_dir() else _pairs_of_file(path, apis)
    if test is not None:
        held = _held_out(Path(test), apis)
        searched = made.searched | held.searched
        made = Training(made.pairs + held.pairs, made.corpus | held.corpus, searched, made.unusable + held.unusable)
    return made


def _training(pairs: list[RetrievalPair], corpus: dict[str, str], unusable: int, more: Iterable[str] = ()) -> Training:
    ids = {pair.api_id for pair in pairs}.union(more)
    return Training(pairs, corpus, {i: text for i, text in corpus.items() if i in ids}, unusable)


def _pairs_of_layout(folder: Path, corpus: Searched | None) -> Training:
    from toolbench.retriever.layout import read

    data = read(folder)
    own = apis_of_documents(data.documents)
    known, name = _documents(corpus.apis if corpus else own.values()), _naming(corpus)
    pairs: list[RetrievalPair] = []
    wanted = 0
    for part, split in ((data.train, "train"), (data.test, "instruction")):
        for qid, docids in part.relevant.items():
            wanted += len(docids)
            ids = [name(own[d]) for d in docids if d in own]
            pairs += _pairs(str(qid), part.queries[qid], [i for i in ids if i in known], known, "", split)
    return _training(pairs, known, wanted - len(pairs))


def _pairs_of_file(path: Path, corpus: Searched | None) -> Training:
    from toolbench.catalogue import Lookup, apis_of_instructions
    from toolbench.instructions import native

    entries = native.read(str(path))
    if any("api_list" in entry for entry in entries):
        apis = apis_of_instructions(entries).apis
        rows = native.instructions(entries, path.stem, Lookup(apis).find)
        own = {a.id: a for a in apis}
        known, name = _documents(corpus.apis if corpus else apis), _naming(corpus)
        found = [(r.id, r.text, [name(own[i]) for i in r.relevant], str(r.group)) for r in rows]
    else:
        if corpus is None:
            raise UsageError(f"The pairs {path} only name their APIs: say with --corpus where these are described.")
        known, find = _documents(corpus.apis), Lookup(corpus.apis).find
        found = [_named(entry, number, find, path) for number, entry in enumerate(entries)]
    pairs: list[RetrievalPair] = []
    for query_id, text, relevant, group in found:
        pairs += _pairs(query_id, text, [i for i in relevant if i in known], known, group, "train")
    return _training(pairs, known, sum(len(f[2]) for f in found) - len(pairs) + len(entries) - len(found))


def _named(entry: dict[str, Any], number: int, find: Find, path: Path) -> tuple[str, str, list[str], str]:
    """A query with the ids of the APIs that it names; `absent` for one that the corpus does not have."""
    relevant, text = entry.get("relevant"), entry["query"]
    if not isinstance(text, str) or not isinstance(relevant, list):
        raise SourceError(f"{path}: entry {number} has no text for `query` or no list for `relevant`.")
    names = [n for n in relevant if isinstance(n, list) and len(n) == 3 and all(isinstance(part, str) for part in n)]
    if len(names) < len(relevant):
        raise SourceError(f"{path}: entry {number} names a relevant API by other than [category, tool, API].")
    ids = [api.id if (api := find(*n)) else "absent" for n in names]
    groups = re.match(r"G([123])", path.stem)
    return f"{path.stem}/{entry.get('query_id', number)}", text, ids, f"I{groups[1]}" if groups else ""


def _held_out(path: Path, corpus: Searched | None) -> Training:
    """The pairs of test files, none of them of split `train`."""
    case = _of_instructions(path, corpus)
    documents = case.corpus.documents
    splits = {i: split for split, ids in case.queries.slices.get("split", {}).items() for i in ids}
    groups = {i: group for group, ids in case.queries.slices.get("group", {}).items() for i in ids}
    pairs: list[RetrievalPair] = []
    for query_id, text in case.queries.texts.items():
        known = sorted(i for i in case.queries.relevant[query_id] if i in documents)
        pairs += _pairs(query_id, text, known, documents, groups[query_id], splits[query_id])
    return _training(pairs, documents, case.unusable + case.absent, case.candidates)


def _pairs(
    query_id: str, text: str, relevant: Sequence[str], corpus: dict[str, str], group: str, split: str
) -> list[RetrievalPair]:
    made: Any = {"category": "", "collection": "", "model": "imported", "group": group or "I1", "split": split}
    return [
        RetrievalPair(id=f"{query_id}/{i}", query_id=query_id, query=text, api_id=i, document=corpus[i], **made)
        for i in dict.fromkeys(relevant)
    ]
