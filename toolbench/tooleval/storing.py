"""Answers to evaluate, as shards of the lake: one partition an evaluation and split."""

from collections.abc import Sequence
from dataclasses import replace

from toolbench.digests import digest
from toolbench.lake import Lake, Partition, Receipt, Snapshot, Spec, labels
from toolbench.records import Answered, Evaluation, Reject
from toolbench.schemas import as_dict
from toolbench.tooleval.runs import EvaluationRun, PassRun, dump, parse

ANSWERED_STAGE, EVALUATION_STAGE = "answered", "evaluations"
_VERSION = 1


def put_answered(
    lake: Lake, name: str, rows: Sequence[Answered], size: int, rejects: Sequence[Reject]
) -> list[Receipt]:
    """The rows as shards of at most `size`, split by split, in the order of their query ids.

    `name`: what the run is called; an answer that changes leaves all shards but its own as they are. The rejects, of
    answers that belong to no query, stand with the first shard.
    """
    receipts = []
    left = list(rejects)
    for split in sorted({row.split for row in rows}):
        mine = sorted((r for r in rows if r.split == split), key=lambda r: (_number(r.query_id), r.query_id))
        chunks = [mine[i : i + size] for i in range(0, len(mine), size)]
        partition = {"name": name, "split": split}
        for label, chunk in zip(labels(partition, len(chunks)), chunks, strict=True):
            receipts.append(_put(lake, label, partition, chunk, left))
            left = []
    return receipts


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 18 else -1


def _put(lake: Lake, label: str, partition: Partition, rows: Sequence[Answered], rejects: Sequence[Reject]) -> Receipt:
    spec = Spec(
        stage=ANSWERED_STAGE,
        label=label,
        partition=partition,
        records=[row.query_id for row in rows],
        content=digest([[as_dict(row) for row in rows], [r.detail for r in rejects]]),
        params={"version": _VERSION},
    )
    lake.put_spec(spec)
    return lake.receipt(spec.digest) or lake.finish(
        spec,
        {
            Answered: [replace(row, spec=spec.digest) for row in rows],
            Reject: [replace(r, spec=spec.digest) for r in rejects],
        },
        taken_in=len(rows) + len(rejects),
        passed_on=len(rows),
    )


def put_run(lake: Lake, run: EvaluationRun) -> Receipt:
    """A result as a row of the lake; the same result is the same shard."""
    document = dump(run)
    spec = Spec(
        stage=EVALUATION_STAGE,
        label=run.name,
        # A later result of the same name and judge takes the place of an earlier one.
        partition=_place(run),
        records=[run.id],
        content=digest(document),
        params={"version": _VERSION, "judge": run.judge.model_dump()},
    )
    lake.put_spec(spec)
    whole = run.splits[-1]
    row = Evaluation(
        id=run.id,
        kind=run.kind,
        name=run.name,
        method=run.method,
        model=run.model,
        fingerprint=run.fingerprint,
        queries=whole.queries,
        rate=run.splits[-1].pass_rate.mean if isinstance(run, PassRun) else run.splits[-1].win_rate.mean,
        document=document,
        spec=spec.digest,
    )
    return lake.receipt(spec.digest) or lake.finish(spec, {Evaluation: [row]}, taken_in=1, passed_on=1)


def _place(run: EvaluationRun) -> Partition:
    against = {} if isinstance(run, PassRun) else {"against": run.against}
    counting = {"counting": run.counting} if isinstance(run, PassRun) else {}
    return {"evaluation": run.name, "kind": run.kind, "judge": run.fingerprint, **counting, **against}


def runs_of(lake: Lake, view: Snapshot) -> list[EvaluationRun]:
    """All results that a snapshot holds, by name and id. Raises LakeError, SourceError if one cannot be read."""
    rows = sorted(lake.rows(view, Evaluation), key=lambda r: (r.name, r.kind, r.id))
    return [parse(row.document, f"The evaluation {row.id} of {lake.uri}") for row in rows]
