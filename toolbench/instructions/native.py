"""ToolBench's own instruction files (`G1_query.json`, `G1_instruction.json`): read, and put into the lake.

A file is a JSON list of `{"query", "query_id", "api_list": [API documents], "relevant APIs": [[tool, API], …]}`.
"""

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from toolbench.digests import digest
from toolbench.errors import SourceError
from toolbench.instructions.planning import STAGE
from toolbench.lake import Lake, Partition, Receipt, Spec
from toolbench.records import Api, Group, Instruction, Reject, Split

Find = Callable[[str, str, str], Api | None]
"""Category, tool and API as a file spells them → the API."""

_VERSION = 1
_ORIGIN = "imported"


class _Broken(Exception):
    """An entry that cannot be used: reason code and sentence."""


def read(path: str, limit: int | None = None) -> list[dict[str, Any]]:
    """The entries of a file, the first `limit` of them. Raises SourceError if it is no such file."""
    try:
        entries = json.loads(Path(path).read_bytes(), parse_constant=_refuse)
    except OSError as error:
        raise SourceError(f"The instructions {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise SourceError(f"The instructions {path} are not valid JSON: {error}.") from None
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "query" in e for e in entries):
        raise SourceError(f"The instructions {path} are no list of objects with a `query`: give a file of ToolBench's.")
    return entries[:limit]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def write(lake: Lake, entries: Sequence[dict[str, Any]], label: str, find: Find, partition: Partition) -> Receipt:
    """Put a file's entries into the lake as one shard, held out from training: others measure themselves on them.

    An entry whose query is no text, whose APIs are not there, or which stands there twice, is a reject.
    """
    rows: dict[str, Instruction] = {}
    rejects: list[Reject] = []
    for number, entry in enumerate(entries):
        try:
            row = _instruction(entry, label, find)
            if row.id in rows:
                raise _Broken("duplicate", "The same query with the same id stands there before.")
            rows[row.id] = row
        except _Broken as broken:
            reason, detail = broken.args
            record = f"{label}#{entry.get('query_id', number)}"
            rejects.append(
                Reject(
                    id=digest([STAGE, label, number]), stage=STAGE, record_id=record, reason=reason, detail=detail,
                    payload=json.dumps(entry.get("query"), ensure_ascii=False),
                )
            )  # fmt: skip
    spec = Spec(
        stage=STAGE,
        label=label,
        partition=partition,
        records=list(rows),
        content=digest([entries, [r.candidates for r in rows.values()]]),
        params={"version": _VERSION},
    )
    return lake.receipt(spec.digest) or lake.finish(
        spec,
        {
            Instruction: [replace(r, spec=spec.digest) for r in rows.values()],
            Reject: [replace(r, spec=spec.digest) for r in rejects],
        },
        taken_in=len(entries),
        passed_on=len(rows),
    )


def instructions(entries: Sequence[dict[str, Any]], label: str, find: Find) -> list[Instruction]:
    """The entries of a file that can be used, in their order, without the lake; `label` is the file's name."""
    found = []
    for entry in entries:
        with contextlib.suppress(_Broken):
            found.append(_instruction(entry, label, find))
    return found


def _instruction(entry: dict[str, Any], label: str, find: Find) -> Instruction:
    query = entry["query"]
    # A few published rows hold the query as a list of one.
    text = query[0] if isinstance(query, list) and query else query
    if not isinstance(text, str) or not text.strip():
        raise _Broken("malformed", "The query is no text.")
    named = [n[:2] for n in _list(entry, "relevant APIs") if isinstance(n, list)]
    candidates: dict[str, Api] = {}
    relevant: dict[str, None] = {}
    for document in _list(entry, "api_list"):
        if (names := _names(document)) and (api := find(*names)):
            candidates[api.id] = api
            if list(names[1:]) in named:  # as the file spells them: the catalogue may spell them otherwise
                relevant[api.id] = None
    if not candidates:
        raise _Broken("no_candidates", "None of its APIs can be used.")
    apis = list(candidates.values())
    return Instruction(
        id=digest([label, entry.get("query_id"), text]),
        group=_group(label, apis),
        category=apis[0].category if len({a.category for a in apis}) == 1 else "",
        collection="",
        combination_id="",
        text=text,
        candidates=list(candidates),
        relevant=list(relevant),
        split=_split(label),
        model=_ORIGIN,
        prompt_digest="",
        seed=0,
        input_tokens=0,
        output_tokens=0,
        cost=0.0,
    )


def _split(label: str) -> Split:
    """The level a test file is held out at, as its name says it: `G1_tool`, `G2_category`."""
    return "tool" if label.endswith("_tool") else "category" if label.endswith("_category") else "instruction"


def _names(document: Any) -> tuple[str, str, str] | None:
    """Category, tool and API as an API document spells them; None if one is missing."""
    if not isinstance(document, dict):
        return None
    category, tool, api = (document.get(key) for key in ("category_name", "tool_name", "api_name"))
    if isinstance(category, str) and isinstance(tool, str) and isinstance(api, str):
        return category, tool, api
    return None


def _list(entry: dict[str, Any], key: str) -> list[Any]:
    found = entry.get(key)
    return found if isinstance(found, list) else []


def _group(label: str, candidates: Sequence[Api]) -> Group:
    """As the file's name says (G1, G2, G3), else by how far the candidates reach."""
    if found := re.match(r"G([123])", label):
        return f"I{found[1]}"  # type: ignore[return-value]
    if len({a.tool_id for a in candidates}) == 1:
        return "I1"
    return "I2" if len({a.category for a in candidates}) == 1 else "I3"
