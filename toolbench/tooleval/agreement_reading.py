"""Files of people's and judges' labels.

One JSON object a line, in either of two layouts:

    {"item": "q1", "people": {"anna": "solved", "ben": "unsolved"}, "judges": {"gpt": "solved"},
     "instruction": "…", "answer": "…", "messages": [{"role": "…", "content": "…"}], "reasons": {"gpt": "…"}}

    {"task_id": "q1", "human": "success", "judges": {"gpt": "failure"}, "query": "…", "final_answer": "…",
     "messages": […]}

All but the id and the labels may be missing. The second layout is LiveMCPBench's.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolbench.errors import SourceError
from toolbench.lake import Lake, Snapshot
from toolbench.records import Judgment
from toolbench.tooleval.agreement import LABELS, Item, Kind
from toolbench.tooleval.jsonl import rows as lines_of

_WORDS: Mapping[Kind, Mapping[str, str]] = {
    "pass": {
        **dict.fromkeys(("solved", "pass", "passed", "success", "true", "yes", "correct"), "solved"),
        **dict.fromkeys(("unsolved", "fail", "failed", "failure", "false", "no", "incorrect"), "unsolved"),
        **dict.fromkeys(("unsure", "uncertain"), "unsure"),
    },
    "preference": {"a": "a", "b": "b", **dict.fromkeys(("tie", "even", "draw"), "tie")},
}


def read(path: Path) -> tuple[list[Item], Kind]:
    """The items of a file, and what kind of labels they have.

    A judge's label that is none of the known words counts as no verdict; a person's is an error. Raises SourceError
    naming file, line and field.
    """
    rows = list(lines_of(path, "a file of labels"))
    if not rows:
        raise SourceError(f"{path} holds no item: write a JSON object a line, with `item`, `people` and `judges`.")
    kind = _kind(rows)
    items = [_item(where, row, kind) for where, row in rows]
    if doubled := next((name for name, n in Counter(item.id for item in items).items() if n > 1), None):
        raise SourceError(f"{path} has item {doubled} more than once: write all its labels into one line.")
    return items, kind


def with_lake(items: Sequence[Item], lake: Lake, snapshot: Snapshot) -> list[Item]:
    """The items with the verdicts of a lake's judges added; an item's id is a solution's or an instruction's.

    Of a judge's votes on a solution the most frequent verdict counts, `unsure` where two are as frequent. What was
    decided by rule counts for every judge of the lake. Raises SourceError if no item was judged there.
    """
    votes: dict[str, dict[str, list[Judgment]]] = defaultdict(lambda: defaultdict(list))
    for column in ("solution_id", "instruction_id"):
        for vote in lake.pick(snapshot, Judgment, column, {item.id for item in items}):
            votes[getattr(vote, column)][vote.model].append(vote)
    judges = {model for models in votes.values() for model in models} - {"rule"} or {"rule"}
    if not votes:
        raise SourceError(
            f"No judgment in snapshot {snapshot.number} of {lake.uri} is of an item of the file: the items' ids have "
            "to be those of solutions or instructions."
        )
    return [_joined(item, votes[item.id], judges) if item.id in votes else item for item in items]


def _joined(item: Item, votes: Mapping[str, Sequence[Judgment]], judges: set[str]) -> Item:
    verdicts, reasons = dict(item.judges), dict(item.reasons)
    for judge in judges:
        counted = Counter(v.verdict for v in (*votes.get(judge, ()), *votes.get("rule", ()))).most_common(2)
        if counted:
            even = len(counted) == 2 and counted[0][1] == counted[1][1]
            verdicts[judge] = "unsure" if even else counted[0][0]
            reasons[judge] = " / ".join(dict.fromkeys(v.reason for v in votes.get(judge, votes.get("rule", ()))))
    return replace(item, judges=verdicts, reasons=reasons)


def _people(where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    found = row.get("people", {"human": row["human"]} if "human" in row else None)
    if not isinstance(found, dict):
        raise SourceError(f"{where}: `people` has to be an object of annotators and their labels.")
    return {name: label for name, label in found.items() if label not in (None, "")}


def _kind(rows: Sequence[tuple[str, dict[str, Any]]]) -> Kind:
    """What the first label of a person is; the rest has to be of the same kind."""
    for where, row in rows:
        for label in _people(where, row).values():
            for kind, words in _WORDS.items():
                if _word(label) in words:
                    return kind
            raise _unknown(where, label, [label for labels in LABELS.values() for label in labels])
    return "pass"


def _item(where: str, row: Mapping[str, Any], kind: Kind) -> Item:
    name = row.get("item", row.get("task_id"))
    if not isinstance(name, str | int) or name == "":
        raise SourceError(f"{where}: `item` has to be the item's id.")
    people = {}
    for annotator, label in _people(where, row).items():
        if _word(label) not in _WORDS[kind]:
            raise _unknown(where, label, LABELS[kind])
        people[annotator] = _WORDS[kind][_word(label)]
    judges = row.get("judges", {})
    if not isinstance(judges, dict):
        raise SourceError(f"{where}: `judges` has to be an object of judges and their labels.")
    reasons = row.get("reasons")
    return Item(
        str(name),
        people,
        {judge: _WORDS[kind].get(_word(label)) for judge, label in judges.items()},
        instruction=_text(row.get("instruction", row.get("query"))),
        answer=_text(row.get("answer", row.get("final_answer"))),
        turns=_turns(row.get("messages")),
        reasons={k: _text(v) for k, v in reasons.items()} if isinstance(reasons, dict) else {},
    )


def _unknown(where: str, label: Any, known: Sequence[str]) -> SourceError:
    shown = json.dumps(label, ensure_ascii=False)[:80]
    return SourceError(f"{where}: {shown} is no label of a person that is known; write one of {', '.join(known)}.")


def _word(label: Any) -> str:
    return json.dumps(label) if isinstance(label, bool) else str(label).strip().lower()


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _turns(messages: Any) -> list[tuple[str, str]]:
    """Who and what, of messages in OpenAI's shape; what is none is left out: it is only shown."""
    turns = []
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict) or message.get("role") in ("system", "user"):
            continue
        if message.get("content"):
            turns.append((_text(message.get("role")), _text(message["content"])))
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                turns.append(("call", f"{_text(function.get('name'))} {_text(function.get('arguments'))}"))
    return turns
