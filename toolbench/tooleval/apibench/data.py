"""APIBench's files: questions with the reference call, and the API documents to retrieve from (Patil et al. 2023)."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolbench.errors import SourceError, UsageError
from toolbench.tooleval.jsonl import rows

_WANTED = "a folder or file that has it"

SETS = {"huggingface": "huggingface", "torchhub": "torchhub", "tensorflowhub": "tensorflow"}
"""The sets, with what their files' names begin with."""
HUBS = {"huggingface": "Hugging Face", "torchhub": "PyTorch Hub", "tensorflowhub": "TensorFlow Hub"}

SHOWN = ("api_name", "api_call", "domain", "framework", "functionality", "api_arguments", "description")
"""What a model is shown of a document."""

_QUESTION = re.compile(r"\s*#+ ?Instruction:\s*(.*?)\s*(?=\n#+ ?(?:Input|Output)\b|<<<|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Document:
    """One API of a set."""

    call: str
    domain: str
    fields: dict[str, Any]
    """The fields in `SHOWN` that it has."""

    @property
    def text(self) -> str:
        """What a retriever reads: all that is shown, a field a line."""
        values = (v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in self.fields.values())
        return "\n".join(values)


@dataclass(frozen=True, slots=True)
class Question:
    """What a user wants, and the call that is right."""

    id: str
    """`<set>/<line of the file>`, lines from 1."""
    set: str
    text: str
    reference: str
    document: Document
    """The reference's own document."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One set."""

    set: str
    questions: Sequence[Question]
    documents: Sequence[Document]


def load(folder: Path, name: str) -> Bench:
    """The set `name` of the folder that holds `<set>_eval.jsonl` and `<set>_api.jsonl`.

    Raises UsageError if there is no such set, SourceError naming file, line and field if a file cannot be read.
    """
    if name not in SETS:
        raise UsageError(f"APIBench has no set {name!r}; choose one of {', '.join(SETS)} or all.")
    questions: list[Question] = []
    for where, row in rows(folder / f"{SETS[name]}_eval.jsonl", _WANTED):
        found = _QUESTION.match(_text(row, "code", where))
        data = row.get("api_data")
        if not found or not found[1]:
            raise SourceError(f"{where}: `code` does not begin with `###Instruction:` and a question.")
        if not isinstance(data, dict):
            raise SourceError(f"{where}: `api_data` has to be the document of the reference's API.")
        number = len(questions) + 1
        reference = _text(row, "api_call", where)
        questions.append(Question(f"{name}/{number}", name, found[1], reference, _document(data, where)))
    documents = [_document(row, where) for where, row in rows(folder / f"{SETS[name]}_api.jsonl", _WANTED)]
    return Bench(name, questions, documents)


def stored(path: Path, questions: Sequence[Question]) -> dict[str, str]:
    """Question id → answer, of a file of JSON lines.

    A line names its question by `id` (`torchhub/17`), or by `question_id` as Gorilla's files do (a number from 1, where
    all `questions` are of one set), and has the answer in `text` or `answer`. Questions that are not asked here are
    left out. Raises SourceError naming the line.
    """
    known = {q.id for q in questions}
    sets = {q.set for q in questions}
    answers: dict[str, str] = {}
    for where, row in rows(path, _WANTED):
        name = row.get("id")
        if not isinstance(name, str):
            number = row.get("question_id")
            if not isinstance(number, int) or len(sets) != 1:
                raise SourceError(
                    f"{where}: no `id` such as torchhub/17; a `question_id` is enough where --set names one set."
                )
            name = f"{next(iter(sets))}/{number}"
        text = row.get("text", row.get("answer"))
        if text is not None and not isinstance(text, str):
            raise SourceError(f"{where}: the answer in `text` or `answer` has to be a text.")
        if name in answers:
            raise SourceError(f"{where}: question {name} was answered before in this file; keep one answer.")
        if name in known:
            answers[name] = text or ""
    if not answers:
        raise SourceError(f"{path} answers none of the questions asked: check --set, --limit and the ids in the file.")
    return answers


def _text(row: dict[str, Any], field: str, where: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise SourceError(f"{where}: `{field}` has to be a text that is not empty.")
    return value


def _document(row: dict[str, Any], where: str) -> Document:
    call, domain = _text(row, "api_call", where), row.get("domain")
    return Document(call, domain if isinstance(domain, str) else "", {k: row[k] for k in SHOWN if row.get(k)})
