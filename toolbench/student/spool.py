"""Samples on disk while a model is trained on them: memory does not grow with the dataset."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolbench.errors import ToolbenchError
from toolbench.records import Conversation
from toolbench.student.samples import IGNORED, Making, Sample, UnusableConversation, samples

_BATCH = 256
"""Samples in memory while they are written."""


@dataclass(slots=True)
class Spooled:
    """Samples of one kind, in the order of their conversations' ids."""

    dataset: Any
    """A `datasets.Dataset` with the columns input_ids and labels, mapped from a file; None if there are none."""
    count: int
    conversations: int
    """Conversations that the samples are of: as many, unless each turn is one."""
    learned: int
    """Tokens that carry loss."""
    read: int
    """Tokens in all."""
    digest: str
    """Of all ids and labels, in order."""


@dataclass(slots=True)
class Samples:
    """The conversations as samples, by what they are for."""

    training: Spooled
    held_out: Spooled
    teachers: list[str]
    rejected: dict[str, int]


@dataclass(slots=True)
class _Writer:
    """Samples on their way to a file in Arrow's stream format."""

    path: Path
    ids: list[str] = field(default_factory=list)
    conversations: int = 0
    digests: list[bytes] = field(default_factory=list)
    learned: int = 0
    read: int = 0
    _waiting: list[Sample] = field(default_factory=list)
    _stream: Any = None

    def add(self, key: str, made: Sample) -> None:
        whole = key.partition("#")[0]
        self.conversations += not self.ids or self.ids[-1].partition("#")[0] != whole
        both = array("q", [*made.input_ids, *made.labels])
        self.ids.append(key)
        self.digests.append(hashlib.sha256(both.tobytes()).digest())
        self.learned += sum(label != IGNORED for label in made.labels)
        self.read += len(made.input_ids)
        self._waiting.append(made)
        if len(self._waiting) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        schema = pa.schema([("input_ids", pa.list_(pa.int32())), ("labels", pa.list_(pa.int32()))])
        if self._stream is None:
            self._stream = pa.ipc.new_stream(str(self.path), schema)
        columns = {"input_ids": [s.input_ids for s in self._waiting], "labels": [s.labels for s in self._waiting]}
        self._stream.write_table(pa.table(columns, schema=schema))
        self._waiting = []

    def close(self) -> Spooled:
        from datasets import Dataset

        if self._waiting:
            self._flush()
        order = sorted(range(len(self.ids)), key=lambda n: (self.ids[n], self.digests[n]))
        whole = hashlib.sha256(b"".join(self.digests[n] for n in order)).hexdigest()
        dataset = None
        if self._stream is not None:
            self._stream.close()
            dataset = Dataset.from_file(str(self.path))
            if order != list(range(len(order))):
                dataset = dataset.select(order, keep_in_memory=True)
        return Spooled(dataset, len(order), self.conversations, self.learned, self.read, whole)


def spool(conversations: Iterable[Conversation], tokenizer: Any, making: Making, folder: Path) -> Samples:
    """Write the samples of all conversations below `folder`; those of other splits than `train` are held out.

    Raises ToolbenchError if no conversation is of that split, or none of those can be used: with the first reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    training, held_out = _Writer(folder / "training.arrow"), _Writer(folder / "held_out.arrow")
    rejected: Counter[str] = Counter()
    teachers: set[str] = set()
    first: UnusableConversation | None = None
    wanted = 0
    for made in samples(conversations, tokenizer, making):
        if made.conversation is None:
            continue  # a lake's rows are conversations
        learned = made.conversation.split == "train"
        wanted += learned
        if made.sample is None:
            if made.problem:
                rejected[made.problem.reason] += 1
                first = first or (made.problem if learned else None)
            continue
        (training if learned else held_out).add(made.conversation.id, made.sample)
        if learned:
            teachers.add(made.conversation.model)
    if not wanted:
        raise ToolbenchError("No conversation belongs to the split `train`: annotate instructions of that split first.")
    if not training.ids:
        raise ToolbenchError(f"None of the training conversations can be used, the first for this reason: {first}")
    return Samples(training.close(), held_out.close(), sorted(teachers), dict(sorted(rejected.items())))


def batches(spooled: Spooled, size: int) -> Iterator[list[dict[str, list[int]]]]:
    """The samples, `size` at a time."""
    for start in range(0, spooled.count, size):
        yield spooled.dataset.select(range(start, min(start + size, spooled.count))).to_list()
