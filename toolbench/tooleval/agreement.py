"""How far judges agree with people, on pass labels or on preferences.

Accuracy is exact matches over all items that people agree on. A judge without a verdict on an item is wrong there:
leaving items out would make a judge better by saying less. An item without a label of people, or on which they are
split, has no truth to compare with: it is listed and counts for no judge.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from toolbench.errors import UsageError
from toolbench.statistics import RESAMPLES, Estimate, bootstrap

if TYPE_CHECKING:
    import numpy.typing as npt

Kind = Literal["pass", "preference"]
LABELS: Mapping[Kind, tuple[str, ...]] = {"pass": ("solved", "unsure", "unsolved"), "preference": ("a", "tie", "b")}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that people and judges gave a label."""

    id: str
    people: Mapping[str, str]
    """Annotator → label."""
    judges: Mapping[str, str | None]
    """Judge → label; None or no entry: no verdict, or one that cannot be read."""
    instruction: str = ""
    answer: str = ""
    turns: Sequence[tuple[str, str]] = ()
    """The trajectory: who, and what was said or done."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Annotator or judge → why."""

    @property
    def truth(self) -> str | None:
        """The label that most people gave; None if there is none, or no single one."""
        votes = Counter(self.people.values()).most_common(2)
        return None if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]) else votes[0][0]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One label."""

    label: str
    people: int
    """Items that people gave it."""
    judge: int
    right: int
    precision: float | None
    """None where the judge never says it."""
    recall: float | None
    """None where people never say it."""


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """One judge against people, with 95% bootstrap intervals by item."""

    judge: str
    items: int
    right: int
    missing: list[str]
    """Items without a verdict; they are among `items`."""
    accuracy: Estimate
    kappa: Estimate | None
    """Cohen's (1960); no verdict is a label of its own. None where chance alone agrees always."""
    balanced_accuracy: Estimate
    """Mean recall over the labels that people gave."""
    classes: list[ClassFigures]
    confusion: dict[str, dict[str, int]]
    """People's label → the judge's (`missing` for none) → items."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Judges against people."""

    kind: Kind
    items: int
    """With a label that people agree on: the denominator."""
    unlabelled: list[str]
    """Items without a label of people."""
    split: list[str]
    """Items on which people are split evenly."""
    labels: dict[str, int]
    """People's labels."""
    baseline: JudgeFigures
    """A judge that always gives people's most frequent label."""
    judges: list[JudgeFigures]
    """The best first."""
    annotators: list[str]
    alpha_people: Estimate | None
    """Krippendorff's alpha for nominal data (2011) among people; None with fewer than two labels on an item."""
    alpha_judges: Estimate | None


def compare(items: Sequence[Item], kind: Kind, *, seed: int = 0) -> Agreement:
    """All judges of `items` against people. Raises UsageError if there is nothing to compare."""
    compared = [item for item in items if item.truth is not None]
    names = sorted({judge for item in items for judge in item.judges})
    if not compared:
        raise UsageError("No item has a label that people agree on: there is nothing to compare judges with.")
    if not names:
        raise UsageError("No item has a judge's verdict: add `judges`, or name the --lake whose judgments are meant.")
    counts = Counter(str(item.truth) for item in compared)
    labels = {label: counts[label] for label in LABELS[kind] if counts[label]}
    usual = max(labels, key=lambda label: labels[label])
    figures = [_figures(name, compared, {i.id: i.judges.get(name) for i in compared}, kind, seed) for name in names]
    return Agreement(
        kind,
        len(compared),
        unlabelled=[item.id for item in items if not item.people],
        split=[item.id for item in items if item.people and item.truth is None],
        labels=labels,
        baseline=_figures(f"always {usual}", compared, {i.id: usual for i in compared}, kind, seed),
        judges=sorted(figures, key=lambda f: (-f.right, f.judge)),
        annotators=sorted({name for item in items for name in item.people}),
        alpha_people=alpha([list(item.people.values()) for item in items], seed=seed),
        alpha_judges=alpha([[v for v in item.judges.values() if v] for item in items], seed=seed),
    )


def alpha(units: Sequence[Sequence[str]], *, seed: int = 0) -> Estimate | None:
    """Krippendorff's alpha for nominal labels, any number of them a unit; units with fewer than two do not count.

    None if no unit has two labels, or all labels are the same: then there is nothing to agree on.
    """
    import numpy as np

    paired = sorted(sorted(unit) for unit in units if len(unit) >= 2)
    names = sorted({label for unit in paired for label in unit})
    if not paired:
        return None
    counts = np.array([[unit.count(name) for name in names] for unit in paired], dtype=np.float64)
    sizes = counts.sum(axis=1)
    disagreement = (counts * (sizes[:, None] - counts)).sum(axis=1) / (sizes - 1)

    def statistic(drawn: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
        totals = drawn @ counts
        n = totals.sum(axis=-1)
        expected = n**2 - (totals**2).sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1 - (n - 1) * (drawn @ disagreement) / expected)

    return _resampled(np.ones(len(paired)), statistic, len(paired), seed)


def _figures(
    name: str, items: Sequence[Item], verdicts: Mapping[str, str | None], kind: Kind, seed: int
) -> JudgeFigures:
    import numpy as np

    labels = LABELS[kind]
    pairs = Counter((str(item.truth), verdicts[item.id] or "missing") for item in items)
    table = np.array([[pairs[truth, verdict] for verdict in (*labels, "missing")] for truth in labels], np.float64)
    hits = [float(verdicts[item.id] == item.truth) for item in items]
    accuracy = bootstrap(hits, seed=seed)
    balanced = _resampled(table, _balanced, len(items), seed)
    if accuracy is None or balanced is None:
        raise ValueError("there are no items")
    classes = []
    for place, label in enumerate(labels):
        right, people, judge = int(table[place, place]), int(table[place].sum()), int(table[:, place].sum())
        if people or judge:
            precision, recall = (right / judge if judge else None), (right / people if people else None)
            classes.append(ClassFigures(label, people, judge, right, precision, recall))
    return JudgeFigures(
        name,
        len(items),
        int(sum(hits)),
        [item.id for item in items if not verdicts[item.id]],
        accuracy,
        _resampled(table, _kappa, len(items), seed),
        balanced,
        classes,
        {
            truth: {verdict: pairs[truth, verdict] for verdict in (*labels, "missing") if pairs[truth, verdict]}
            for truth in labels
            if any(pairs[truth, verdict] for verdict in (*labels, "missing"))
        },
    )


def _kappa(tables: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """Cohen's kappa of tables of shape (…, labels, labels + 1): people down, the judge and its silence across."""
    import numpy as np

    n = tables.sum(axis=(-2, -1))
    observed = np.trace(tables, axis1=-2, axis2=-1) / n
    chance = (tables.sum(axis=-1) * tables.sum(axis=-2)[..., :-1]).sum(axis=-1) / n**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((observed - chance) / (1 - chance))


def _balanced(tables: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """Mean recall over the labels that people gave, of tables as `_kappa` takes them."""
    import numpy as np

    people = tables.sum(axis=-1)
    right = np.diagonal(tables[..., :-1], axis1=-2, axis2=-1)
    recall = np.divide(right, people, out=np.zeros_like(people), where=people > 0)
    return np.asarray(recall.sum(axis=-1) / (people > 0).sum(axis=-1))


def _resampled(
    counts: "npt.NDArray[Any]", statistic: "Callable[[npt.NDArray[Any]], npt.NDArray[Any]]", n: int, seed: int
) -> Estimate | None:
    """A statistic of counts with its percentile bootstrap interval; None where it is not defined.

    Items that fall into one cell are alike, so that drawing n items is drawing the cells' counts (multinomial).
    """
    import numpy as np

    value = float(statistic(counts))
    if not np.isfinite(value):
        return None
    random = np.random.default_rng(seed)
    drawn = random.multinomial(n, counts.ravel() / counts.sum(), size=RESAMPLES).reshape(-1, *counts.shape)
    found = statistic(drawn.astype(np.float64))
    low, high = np.quantile(found[np.isfinite(found)], (0.025, 0.975))
    return Estimate(value, float(low), float(high), n, n)
