"""Where `toolbench tooleval` finds answers: in a lake, in ToolBench's answer files, in ToolEval's converted answers."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolbench.digests import digest
from toolbench.errors import SourceError, UsageError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Answered, Instruction, Reject
from toolbench.tooleval import converted
from toolbench.tooleval.answers import Query, matched, of_solution
from toolbench.tooleval.gathering import Gathered, LakeQueries

_STAGE = "answered"
_SPLIT = re.compile(r"G[123]_(?:instruction|tool|category|train|answer)")


def queries(files: Sequence[Path]) -> list[Query]:
    """The queries of ToolBench's instruction files, each file a split. Raises SourceError for what is no such file."""
    from toolbench.catalogue import Lookup, apis_of_instructions
    from toolbench.instructions import native

    found: list[Query] = []
    for path in files:
        entries = native.read(str(path))
        apis = Lookup(apis_of_instructions(entries).apis)
        for number, entry in enumerate(entries):
            query = entry["query"]
            # A few published rows hold the query as a list of one.
            text = query[0] if isinstance(query, list) and query else query
            if not isinstance(text, str) or not text.strip():
                raise SourceError(f"{path}: entry {number} has a query that is no text: take it out of the test set.")
            found.append(_query(entry, text, path.stem, number, apis))
    seen: set[tuple[str, str]] = set()
    for query in found:
        key = (query.split, query.query_id)
        if key in seen:
            raise SourceError(f"Query {query.query_id} stands twice in split {query.split}: take one out of the file.")
        seen.add(key)
    return found


def _query(entry: dict[str, Any], text: str, split: str, number: int, apis: Any) -> Query:
    documents = [d for d in _list(entry, "api_list") if isinstance(d, dict)]
    named = [n[:2] for n in _list(entry, "relevant APIs") if isinstance(n, list)]
    offered: dict[str, Any] = {}
    relevant: dict[str, None] = {}
    for document in documents:
        names = [document.get(key) for key in ("category_name", "tool_name", "api_name")]
        if all(isinstance(name, str) for name in names) and (api := apis.find(*names)):
            offered[api.function] = json.loads(api.definition)
            if names[1:] in named:
                relevant[api.function] = None
    definitions = json.dumps(list(offered.values()), ensure_ascii=False)
    return Query(str(entry.get("query_id", number)), split, text, definitions, tuple(relevant))


def _list(entry: dict[str, Any], key: str) -> list[Any]:
    found = entry.get(key)
    return found if isinstance(found, list) else []


def from_files(place: Path, test_set: Sequence[Query] | None) -> Gathered:
    """Answers in a folder or a file, of ToolBench's or ToolEval's layout, told apart by what they hold.

    Without a test set what was answered is all there is. Raises SourceError if there are no answers at all.
    """
    rows: list[Answered] = []
    rejects: list[Reject] = []
    for name, row, problem in _read(place):
        if row is not None:
            rows.append(row)
        else:
            rejects.append(_reject(name, "malformed", problem))
    if not rows:
        first = f" ({rejects[0].detail})" if rejects else ""
        raise SourceError(
            f"There are no answers in {place}{first}: give ToolBench's answer files or converted answers."
        )
    if test_set is None:
        own = {(r.split, r.query_id): Query(r.query_id, r.split, r.query, r.functions) for r in rows}
        found, left = matched(own.values(), rows)
    else:
        found, left = matched(test_set, rows)
    rejects += _left(left)
    return Gathered(found, place.name, whole=test_set is not None, rejects=rejects)


def _left(rows: Sequence[Answered]) -> list[Reject]:
    """Answers that belong to no query."""
    return [
        _reject(
            f"{row.origin}#{row.query_id}",
            "not_in_test_set",
            f"{row.origin} answers no query of the test set ({row.query_id}), or one that is answered already.",
        )
        for row in rows
    ]


def _reject(name: str, reason: str, detail: str) -> Reject:
    return Reject(id=digest([_STAGE, name, detail]), stage=_STAGE, record_id=name, reason=reason, detail=detail)


def _read(place: Path) -> Iterator[tuple[str, Answered | None, str]]:
    """Name, row and problem of each answer."""
    if not place.exists():
        raise SourceError(f"The answers {place} are not there: give a folder or a file of answers.")
    paths = sorted(place.rglob("*.json")) if place.is_dir() else [place]
    for path in paths:
        name = path.relative_to(place).as_posix() if place.is_dir() else path.name
        split = next(iter(_SPLIT.findall(name)), Path(name).parent.name or Path(name).stem)
        try:
            document = json.loads(path.read_bytes())
        except OSError as error:
            raise SourceError(f"The answers {path} cannot be read: {error.strerror}.") from None
        except (ValueError, RecursionError) as error:
            yield name, None, f"{name} is not valid JSON: {error}."
            continue
        if converted.looks_converted(document):
            rows, problems = converted.read(document, split, name)
            yield from ((name, row, "") for row in rows)
            yield from ((f"{name}#{key}", None, f"{name}, query {key}: {text}") for key, text in problems)
        else:
            yield _answer(name, document, split)


def _answer(name: str, document: Any, split: str) -> tuple[str, Answered | None, str]:
    """The answer in one of ToolBench's files: `<query id>_<model>_<method>.json`."""
    from toolbench.solutions.answer_nodes import Broken
    from toolbench.solutions.answer_reading import from_answer, parse
    from toolbench.solutions.converted import method_name

    query_id, _, rest = Path(name).stem.partition("_")
    try:
        answer = parse(document)
        functions = [f for f in answer.functions if isinstance(f.get("name"), str)]
        method = method_name(answer.rules)
        model = rest.removesuffix(method).rstrip("_") or "imported"
        asked = Instruction(
            id=query_id, group="I1", category="", collection="", combination_id="", text=answer.query, candidates=[],
            relevant=[], split="instruction", model=model, prompt_digest="", seed=0, input_tokens=0, output_tokens=0,
            cost=0.0,
        )  # fmt: skip
        found = from_answer(answer, asked, {f["name"]: f["name"] for f in functions}, model=model)
        query = Query(query_id, split, answer.query)
        row = of_solution(found, query, functions, origin=name, method=method)
        return name, replace(row, id=digest([name, row.id])), ""
    except Broken as broken:
        return name, None, f"{name}: {broken.args[1]}"


def from_lake(lake: Lake, view: Snapshot, files: Sequence[Path], splits: Sequence[str]) -> Gathered:
    """A lake's solutions: of the queries in `files`, or of what it holds out; of what it trains on only if asked for.

    Raises UsageError if the lake holds nothing out.
    """
    from toolbench.instructions.export import query_ids

    there = LakeQueries(lake, view)
    known = there.instructions()
    names = query_ids(row.id for _, row in known)
    there = LakeQueries(lake, view, names)
    test_set = queries(files) if files else None
    wanted: dict[str, Query] = {}
    for partition, row in known:
        query = there.query(partition, row)
        if test_set is not None or "answers" in partition or row.split != "train" or query.split in splits:
            wanted[row.id] = query
    if not wanted:
        raise UsageError(
            f"The lake {lake.uri} holds no instruction out to evaluate: give --instructions, or --split G1_train for "
            "what it trains on."
        )
    answers = there.answers(wanted, view.entries("solutions"), "snapshot")
    if test_set is None:
        rows, left = matched(wanted.values(), answers)
    else:
        # An imported file's instructions keep their text, and have other ids in the lake.
        texts = {" ".join(q.text.split()): q for q in test_set}
        answers = [replace(a, query_id=q.query_id, split=q.split) for a in answers if (q := texts.get(_text(a)))]
        rows, left = matched(test_set, answers)
    rejects = _left(left)
    before = sorted({e.spec for e in view.entries("judgments")})
    # No snapshot number: what does not change what is evaluated changes no byte of the result.
    return Gathered(rows, f"lake {Path(lake.uri).name}", rejects=rejects, earlier=before)


def _text(row: Answered) -> str:
    return " ".join(row.query.split())
