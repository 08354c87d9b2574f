"""ToolBench's retrieval data, a folder: `corpus.tsv`, `train.query.txt`, `qrels.train.tsv` and the same for `test`.

Tables with tabs between the columns, quoted as pandas does (RFC 4180 with tabs): a field with a tab, a quote or a line
break stands in quotes, and quotes within it are doubled. Ids are integers from 1; a document is an API as JSON.
"""

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from toolbench.errors import SourceError, ToolbenchError
from toolbench.records import RetrievalPair

CORPUS = "corpus.tsv"
PARTS = ("train", "test")
_HEADER = ["docid", "document_content"]
_LONGEST_FIELD = 2**31 - 1
"""Characters; csv's own limit of 128 KiB is below what a crawled document may have."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Queries by number, and for each the numbers of the documents relevant to it."""

    queries: dict[int, str] = field(default_factory=dict)
    relevant: dict[int, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetrievalData:
    """What a folder holds."""

    documents: dict[int, dict[str, Any]]
    """API documents by number, as ToolBench writes them."""
    train: Labelled
    test: Labelled


def is_layout(folder: Path) -> bool:
    """Whether `folder` looks like one of these."""
    return (folder / CORPUS).is_file()


def read(folder: Path) -> RetrievalData:
    """The documents and queries of a folder; `train` or `test` may be absent.

    Raises SourceError naming file and line of what cannot be read or refers to what is not there.
    """
    documents: dict[int, dict[str, Any]] = {}
    for where, (number, text) in _rows(folder / CORPUS, 2, header=_HEADER):
        docid = _integer(where, "docid", number)
        if docid in documents:
            _refuse(where, f"gives document {docid} again")
        documents[docid] = _document(where, text)
    if not documents:
        raise SourceError(f"{folder / CORPUS} holds no document: there is nothing to search.")
    parts = {part: _labelled(folder, part, documents) for part in PARTS}
    return RetrievalData(documents, parts["train"], parts["test"])


def write(folder: Path, documents: Mapping[str, Mapping[str, Any]], pairs: Iterable[RetrievalPair]) -> dict[str, int]:
    """Write pairs, and API documents by API id, into `folder`, which is made if it is not there; gives rows by file.

    Pairs of split `train` train, all others test. Documents are numbered in the order of their ids, queries in that of
    theirs, training ones first. Files that are there are replaced when all are complete.

    Raises ToolbenchError if a pair's API has no document, or if `folder` cannot be written.
    """
    numbers = {api_id: number for number, api_id in enumerate(sorted(documents), start=1)}
    texts: dict[str, dict[str, str]] = {part: {} for part in PARTS}
    labels: dict[str, set[tuple[str, int]]] = {part: set() for part in PARTS}
    for pair in pairs:
        if pair.api_id not in numbers:
            raise ToolbenchError(
                f"The API {pair.api_id} of query {pair.query_id} has no document: run `toolbench refresh` over the "
                "whole catalogue."
            )
        part = "train" if pair.split == "train" else "test"
        texts[part][pair.query_id] = pair.query
        labels[part].add((pair.query_id, numbers[pair.api_id]))
    files: dict[str, list[Sequence[Any]]] = {
        CORPUS: [_HEADER, *([numbers[i], json.dumps(documents[i])] for i in sorted(documents))]
    }
    first = 1
    for part in PARTS:
        qids = {query_id: qid for qid, query_id in enumerate(sorted(texts[part]), start=first)}
        first += len(qids)
        files[f"{part}.query.txt"] = [[qid, texts[part][query_id]] for query_id, qid in qids.items()]
        files[f"qrels.{part}.tsv"] = [[qids[q], 0, docid, 1] for q, docid in sorted(labels[part])]
    try:
        _write(folder, files)
    except OSError as error:
        raise ToolbenchError(
            f"The retrieval data cannot be written to {folder} ({error}); name another --out."
        ) from error
    return {name: len(rows) - (name == CORPUS) for name, rows in files.items()}


def _labelled(folder: Path, part: str, documents: Mapping[int, Any]) -> Labelled:
    texts, labels = folder / f"{part}.query.txt", folder / f"qrels.{part}.tsv"
    if not texts.exists() and not labels.exists():
        return Labelled()
    found = Labelled()
    for where, (number, text) in _rows(texts, 2):
        qid = _integer(where, "qid", number)
        if qid in found.queries:
            _refuse(where, f"gives query {qid} again")
        if not text.strip():
            _refuse(where, f"has no text for query {qid}")
        found.queries[qid] = text
    for where, (qid_text, _, docid_text, label) in _rows(labels, 4):
        qid, docid = _integer(where, "qid", qid_text), _integer(where, "docid", docid_text)
        if qid not in found.queries:
            _refuse(where, f"names query {qid}, which {texts.name} does not have")
        if docid not in documents:
            _refuse(where, f"names document {docid}, which {CORPUS} does not have")
        if _integer(where, "label", label) > 0 and docid not in (mine := found.relevant.setdefault(qid, [])):
            mine.append(docid)
    return found


def _rows(path: Path, columns: int, header: list[str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """The rows of a table, each with what to call its place."""
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(_lines(path), delimiter="\t", strict=True)
    first = True
    try:
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if first and header is not None:
                first = False
                if row != header:
                    _refuse(where, f"has to be the header {' and '.join(header)}, with a tab between them,")
                continue
            if not row:
                continue
            if len(row) != columns:
                _refuse(where, f"has {len(row)} columns, not {columns}")
            yield where, row
    except csv.Error as error:
        reason = str(error).partition(" - ")[0]
        _refuse(f"{path}, line {reader.line_num}", f"cannot be read ({reason})")


def _lines(path: Path) -> Iterator[str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(f"{path}, line {data[: error.start].count(10) + 1}", "is not UTF-8")
    # Not `splitlines`: it would cut at characters that a query may hold.
    yield from io.StringIO(text, newline="\n")


def _document(where: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        _refuse(where, "has a document that is not valid JSON")
    if not isinstance(found, dict):
        _refuse(where, "has a document that is no JSON object")
    return found


def _integer(where: str, name: str, text: str) -> int:
    # Not `int` alone: it takes `1_0` and ` 1`, and refuses very long ones in its own way.
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        _refuse(where, f"has {text[:40]!r} for {name}, which is no whole number")
    return int(text)


def _refuse(where: str, what: str) -> NoReturn:
    raise SourceError(f"{where} {what}; the retrieval data have ToolBench's layout, or the file is damaged.")


def _write(folder: Path, files: Mapping[str, Sequence[Sequence[Any]]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as beside:
        for name, rows in files.items():
            with (Path(beside) / name).open("w", encoding="utf-8", errors="replace", newline="") as out:
                plain = csv.writer(out, delimiter="\t", lineterminator="\n")
                quoted = csv.writer(out, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
                for row in rows:
                    # A carriage return ends a row for those who read, but is not quoted for it by those who write.
                    bare = any("\r" in str(value) for value in row)
                    (quoted if bare else plain).writerow(row)
        for name in files:
            (Path(beside) / name).replace(folder / name)
