"""Which hard negatives each batch of a training run gets, whatever happened to the process in between."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolbench.encoder import Encoder, Progress
from toolbench.records import RetrievalPair
from toolbench.retriever.checkpoints import write
from toolbench.retriever.config import RetrieverConfig
from toolbench.retriever.negatives import Negatives, Siblings, mine

_AHEAD = 2
"""Batches that a process's data loader has fetched when a step begins: they were made before what is mined now."""


class Miner:
    """Siblings and mined negatives by batch. Mining happens before each epoch but the first, in the middle of a run."""

    def __init__(
        self,
        pairs: Sequence[RetrievalPair],
        batches: Sequence[Sequence[int]],
        documents: Mapping[str, str],
        sample: Mapping[str, str],
        config: RetrieverConfig,
        folder: Path,
    ) -> None:
        """`documents` are those that siblings are taken from, `sample` those of them that are searched.

        What is mined is kept in `folder` for a resumed run.
        """
        self._pairs, self._documents, self._sample = pairs, documents, sample
        self._config, self._folder = config, folder
        self._siblings = Siblings(pairs, documents) if config.siblings else None
        per_epoch = max(1, round(len(batches) / config.epochs))
        self._starts = [per_epoch * epoch for epoch in range(1, config.epochs)] if config.mined else []
        self._mined: dict[int, Negatives] = {}
        self._ahead = _AHEAD

    def negatives(self, number: int, query: str) -> list[tuple[str, str]]:
        """API ids and documents of the hard negatives that a query has in batch `number`."""
        ids = (
            self._siblings.draw(query, self._config.siblings, f"{self._config.seed}/{number}") if self._siblings else []
        )
        rounds = [start for start in self._mined if start + self._ahead <= number]
        if rounds:
            ids += self._mined[max(rounds)].get(query, [])
        return [(i, self._documents[i]) for i in dict.fromkeys(ids)]

    def due(self, batch: int) -> bool:
        """Whether to mine before the step of this batch."""
        return len(self._mined) < sum(start <= batch for start in self._starts)

    def mine(self, encoder: Encoder, batch: int, progress: Progress | None = None) -> None:
        """Mine with the encoder as it is now."""
        found = mine(encoder, self._pairs, self._sample, self._config.mined, self._config.margin, progress)
        self._mined[batch] = found
        write(self._place(batch), found)

    def resume(self, batch: int, processes: int) -> None:
        """Take up what was mined before the batch that a run, of so many processes, begins or goes on with."""
        self._ahead = _AHEAD * processes
        for place in self._folder.glob("mined-*.json"):
            start = int(place.stem.partition("-")[2])
            if start < batch:
                self._mined[start] = json.loads(place.read_text(encoding="utf-8"))

    def _place(self, batch: int) -> Path:
        return self._folder / f"mined-{batch}.json"
