"""Whether a result is good enough to go on with."""

from toolbench.errors import GateError, UsageError
from toolbench.statistics import Estimate, difference
from toolbench.tooleval.runs import PassRun, check_same_judge


def check(
    run: PassRun, *, least: float | None = None, reference: PassRun | None = None, different_judges: bool = False
) -> None:
    """Raises GateError if the pass rate is below `least`, or below the reference's by more than the 95% interval of the
    difference on the same queries allows; UsageError if the two were judged by different judges, or share no query."""
    whole = run.splits[-1].pass_rate
    if least is not None and whole.mean < least:
        raise GateError(
            f"The pass rate of {run.name} is {whole.percent()}, below the {100 * least:.1f}% that were asked for."
        )
    if reference is None:
        return
    check_same_judge([reference, run], allow=different_judges)
    found = against(run, reference)
    if found.high < 0:
        raise GateError(
            f"The pass rate of {run.name} is {-100 * found.mean:.1f} points below that of {reference.name} on the "
            f"{found.n} queries of both (95% interval: {-100 * found.high:.1f} to {-100 * found.low:.1f} points)."
        )


def against(run: PassRun, reference: PassRun) -> Estimate:
    """Pass rate minus the reference's over the queries of both. Raises UsageError if there are none."""
    theirs = {(q.split, q.query_id): q.points for q in reference.queries}
    shared = [q for q in run.queries if (q.split, q.query_id) in theirs]
    ours = [q.points for q in shared]
    found = difference(ours, [theirs[q.split, q.query_id] for q in shared], seed=run.seed)
    if found is None:
        raise UsageError(f"{run.name} and {reference.name} have no query in common: name another reference.")
    return found
