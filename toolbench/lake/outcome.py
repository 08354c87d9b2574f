"""What a run of a stage came to: counts, cost and time, made of its receipts."""

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toolbench.lake.model import Draft, Receipt, Usage
from toolbench.records import Run
from toolbench.schemas import as_dict


class Outcome:
    """What a stage did: its receipts and the figures made of them."""

    def __init__(
        self,
        stage: str,
        receipts: Sequence[Receipt],
        reused: int,
        seconds: float,
        outcomes: Mapping[str, int] | None = None,
    ) -> None:
        self.stage, self.receipts, self.reused, self.seconds = stage, list(receipts), reused, seconds
        self.outcomes = dict(outcomes or {})
        """Counts over the whole stage, besides those of its shards."""

    def add_to(self, draft: Draft, *, flow: str, main: str, tables: tuple[str, ...], model: str) -> None:
        """Check the counts and add the shards and the `runs` row. Raises LakeError if the counts do not add up."""
        for receipt in self.receipts:
            receipt.check(main)
        draft.add(self.receipts, tables)
        draft.runs.append(as_dict(self.run(flow, model)))

    def run(self, flow: str, model: str, metrics: str = "{}") -> Run:
        """The row of table `runs` for this stage."""
        usage = sum((r.usage for r in self.receipts), Usage())
        started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=self.seconds)
        return Run(
            id="",
            flow=flow,
            stage=self.stage,
            started_at=started.isoformat(timespec="seconds"),
            seconds=round(self.seconds, 3),
            shards=len(self.receipts),
            shards_reused=self.reused,
            taken_in=sum(r.taken_in for r in self.receipts),
            passed_on=sum(r.passed_on for r in self.receipts),
            rejected=sum(r.rejected for r in self.receipts),
            reasons=json.dumps(_total(r.reasons for r in self.receipts)),
            outcomes=json.dumps(_total([*(r.outcomes for r in self.receipts), self.outcomes])),
            calls=usage.calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=usage.cost,
            model=model,
            metrics=metrics,
            specs=[r.spec for r in self.receipts],
        )

    def rows(self) -> list[dict[str, Any]]:
        """For a table to look at: a row for each shard with in, out, rejected by reason, calls, tokens, cost."""
        names = sorted({name for r in self.receipts for name in r.outcomes})
        return [
            {
                "shard": r.label,
                "in": r.taken_in,
                "out": r.passed_on,
                "rejected": ", ".join(f"{k} {v}" for k, v in r.reasons.items()) or "0",
                **{name: r.outcomes.get(name, 0) for name in names},  # the page takes its columns from row one
                "calls": r.usage.calls,
                "tokens": r.usage.input_tokens + r.usage.output_tokens,
                "cost": f"${r.usage.cost:.4f}",
            }
            for r in self.receipts
        ]


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of counts by name, names in order."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
