"""What a run of a stage came to: counts, cost and time, made of its receipts."""

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from toolbench.lake import leftover
from toolbench.lake.lake import Lake
from toolbench.lake.model import Draft, Receipt, Spec, Usage
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
        self.votes = 1
        """Rows that are one observation in a pass rate: a judge's votes on one answer."""
        self.paid = Usage()
        """What this run asked for; receipts count what earlier runs had paid for as well."""
        self.lake: Lake | None = None
        """Where they are; needed if some are left."""
        self.left: list[Spec] = []
        """Shards that were not done because the budget was used up."""
        self.stopped = ""
        """What was used up, in a sentence."""

    def add_to(self, draft: Draft, *, flow: str, main: str, tables: tuple[str, ...], model: str) -> None:
        """Check the counts and add the shards and the `runs` row. Raises LakeError if the counts do not add up.

        Where shards are left, what is still true of the last snapshot stays beside those that are done.
        """
        for receipt in self.receipts:
            receipt.check(main)
        draft.add(self.receipts, tables)
        if self.left and self.lake:
            leftover.keep(self.lake, draft, self.lake.snapshot(), main, tables, self.left)
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
            paid_calls=self.paid.calls,
            paid_tokens=self.paid.input_tokens + self.paid.output_tokens,
            paid_cost=self.paid.cost,
            left=len(self.left),
            stopped=self.stopped,
            specs=[r.spec for r in self.receipts],
        )


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of counts by name, names in order."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
