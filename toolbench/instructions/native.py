"""ToolBench's own instruction files (`G1_query.json`, `G1_instruction.json`): read, and put into the lake.

A file is a JSON list of `{"query", "query_id", "api_list": [API documents], "relevant APIs": [[tool, API], …]}`.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from toolbench.digests import digest
from toolbench.errors import SourceError
from toolbench.instructions.generate import STAGE
from toolbench.lake import Lake, Partition, Receipt, Spec
from toolbench.records import Api, Group, Instruction, Reject

Find = Callable[[str, str, str], Api | None]
"""Category, tool and API as a file spells them → the API."""

_VERSION = 1
_ORIGIN = "imported"


class _Broken(Exception):
    """An entry that cannot be used: reason code and sentence."""


def read(path: str, limit: int | None = None) -> list[dict[str, Any]]:
    """The entries of a file, the first `limit` of them. Raises SourceError if it is no such file."""
    try:
        entries = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise SourceError(f"The instructions {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise SourceError(f"The instructions {path} are not valid JSON: {error}.") from None
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "query" in e for e in entries):
        raise SourceError(f"The instructions {path} are no list of objects with a `query`: give a file of ToolBench's.")
    return entries[:limit]


def write(lake: Lake, entries: Sequence[dict[str, Any]], label: str, find: Find, partition: Partition) -> Receipt:
    """Put a file's entries into the lake as one shard, held out from training: others measure themselves on them.

    An entry whose query is no text, or whose APIs are not there, is a reject.
    """
    rows: list[Instruction] = []
    rejects: list[Reject] = []
    for number, entry in enumerate(entries):
        try:
            rows.append(_instruction(entry, label, find))
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
        records=[r.id for r in rows],
        content=digest([entries, [r.candidates for r in rows]]),
        params={"version": _VERSION},
    )
    return lake.receipt(spec.digest) or lake.finish(
        spec, {Instruction: rows, Reject: rejects}, taken_in=len(entries), passed_on=len(rows)
    )


def _instruction(entry: dict[str, Any], label: str, find: Find) -> Instruction:
    query = entry["query"]
    # A few published rows hold the query as a list of one.
    text = query[0] if isinstance(query, list) and query else query
    if not isinstance(text, str) or not text.strip():
        raise _Broken("malformed", "The query is no text.")
    documents = [d for d in entry.get("api_list") or [] if isinstance(d, dict)]
    found = [_find(find, d.get("category_name"), d.get("tool_name"), d.get("api_name")) for d in documents]
    candidates = list({a.id: a for a in found if a is not None}.values())
    if not candidates:
        raise _Broken("no_candidates", "None of its APIs can be used.")
    named = {(str(tool), str(api)) for tool, api, *_ in entry.get("relevant APIs") or []}
    relevant = [a.id for a in candidates if (a.tool, a.name) in named]
    return Instruction(
        id=digest([label, entry.get("query_id"), text]),
        group=_group(label, candidates),
        category=candidates[0].category if len({a.category for a in candidates}) == 1 else "",
        collection="",
        combination_id="",
        text=text,
        candidates=[a.id for a in candidates],
        relevant=relevant,
        split="instruction",
        model=_ORIGIN,
        prompt_digest="",
        seed=0,
        input_tokens=0,
        output_tokens=0,
        cost=0.0,
    )


def _find(find: Find, *names: Any) -> Api | None:
    category, tool, api = names
    return find(category, tool, api) if all(isinstance(n, str) for n in names) else None


def _group(label: str, candidates: Sequence[Api]) -> Group:
    """As the file's name says (G1, G2, G3), else by how far the candidates reach."""
    if found := re.match(r"G([123])", label):
        return f"I{found[1]}"  # type: ignore[return-value]
    if len({a.tool_id for a in candidates}) == 1:
        return "I1"
    return "I2" if len({a.category for a in candidates}) == 1 else "I3"
