"""Samples packed into sequences of one length, each still a sequence of its own."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from toolbench.student.samples import IGNORED, Sample

WINDOW = 1_000
"""Samples that wait for their place at once; more pack tighter and stay in memory."""


class Packed(NamedTuple):
    """Samples one after the other."""

    input_ids: list[int]
    labels: list[int]
    """As theirs; the first token of each is never learned, since it would be predicted from another sample."""
    position_ids: list[int]
    """From 0 in each sample: attention kernels for variable lengths tell samples apart by it."""
    lengths: list[int]
    """Tokens of each sample."""


def packed(samples: Iterable[Sample], length: int, window: int = WINDOW) -> Iterator[Packed]:
    """Sequences of at most `length` tokens: best fit, the longest first, within windows of samples in their order.

    Raises ValueError if a sample is longer: what does not fit is cut or rejected where samples are made.
    """
    waiting: list[Sample] = []
    for sample in samples:
        if len(sample.input_ids) > length:
            raise ValueError(f"a sample has {len(sample.input_ids)} tokens, more than {length}")
        waiting.append(sample)
        if len(waiting) == window:
            yield from _fitted(waiting, length)
            waiting = []
    yield from _fitted(waiting, length)


def truncated(sample: Sample, length: int) -> Sample:
    """The first `length` tokens of a sample with their labels, for what trains on texts without an end."""
    return sample._replace(input_ids=sample.input_ids[:length], labels=sample.labels[:length])


def _fitted(samples: list[Sample], length: int) -> Iterator[Packed]:
    bins: list[list[Sample]] = []
    rooms: dict[int, list[int]] = {}
    for sample in sorted(samples, key=lambda s: -len(s.input_ids)):
        needed = len(sample.input_ids)
        room = min((r for r, free in rooms.items() if r >= needed and free), default=None)
        if room is None:
            bins.append([])
            number, room = len(bins) - 1, length
        else:
            number = rooms[room].pop(0)
        bins[number].append(sample)
        rooms.setdefault(room - needed, []).append(number)
    for found in bins:
        yield _joined(found)


def _joined(samples: list[Sample]) -> Packed:
    ids: list[int] = []
    labels: list[int] = []
    positions: list[int] = []
    for sample in samples:
        ids += sample.input_ids
        labels += [IGNORED, *sample.labels[1:]]
        positions += range(len(sample.input_ids))
    return Packed(ids, labels, positions, [len(sample.input_ids) for sample in samples])
