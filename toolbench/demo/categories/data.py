"""Data: descriptive statistics, relations between series, and probabilities."""

import statistics
from math import comb
from typing import Annotated

from toolbench.demo.tool import Answer, HubTool, integer, number, numbers, refuse, text

summaries = HubTool(
    "descriptive-statistics",
    "Descriptive Statistics",
    "Mean, median, spread, percentiles, outliers and histograms of a list of numbers.",
    "Data",
    ("Classroom", "Personal Finance"),
)
relations = HubTool(
    "regression-analysis",
    "Regression Analysis",
    "How two series of numbers hang together: correlation, a fitted straight line, and a forecast by it.",
    "Data",
    ("Classroom",),
)
chances = HubTool(
    "probability",
    "Probability",
    "Probabilities of dice, of repeated trials and of the normal distribution.",
    "Data",
    ("Classroom",),
)
TOOLS = (summaries, relations, chances)

Values = Annotated[str, text("Numbers separated by commas", "12,15,11,18,22,9,60", max_length=10_000)]
Xs = Annotated[str, text("Values of x, separated by commas", "1,2,3,4,5", max_length=10_000)]
Ys = Annotated[
    str, text("Values of y, separated by commas, as many as of x", "2.1,3.9,6.2,7.8,10.1", max_length=10_000)
]


class Summary(Answer):
    """What a list of numbers looks like."""

    count: int
    """How many numbers there are."""
    mean: float
    """Arithmetic mean."""
    median: float
    """The middle value."""
    minimum: float
    """The smallest."""
    maximum: float
    """The largest."""
    standard_deviation: float
    """Sample standard deviation; 0 for a single number."""


class Percentile(Answer):
    """One percentile."""

    value: float
    """The value below which that share of the numbers lies, interpolated linearly."""


class Outliers(Answer):
    """Values far from the rest."""

    outliers: list[float]
    """Numbers more than 1.5 interquartile ranges outside the quartiles, in the order given."""
    lower_fence: float
    """Numbers below are outliers."""
    upper_fence: float
    """Numbers above are outliers."""


class Bin(Answer):
    """One bar of a histogram."""

    start: float
    """Lower edge."""
    end: float
    """Upper edge; it belongs to the next bar, except for the last."""
    count: int
    """Numbers in the bar."""


class Histogram(Answer):
    """A histogram."""

    bins: list[Bin]
    """Bars of equal width, from low to high."""


def _percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    position = percent / 100 * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


@summaries.get("/summary")
def summarise_numbers(values: Values) -> Summary:
    """Mean, median, minimum, maximum and standard deviation of a list of numbers."""
    found = numbers(values)
    return Summary(
        count=len(found),
        mean=round(statistics.fmean(found), 6),
        median=statistics.median(found),
        minimum=min(found),
        maximum=max(found),
        standard_deviation=round(statistics.stdev(found), 6) if len(found) > 1 else 0.0,
    )


@summaries.get("/percentile")
def percentile_of_numbers(
    values: Values, percent: Annotated[float, number("Which percentile, 0 to 100", 90, ge=0, le=100)]
) -> Percentile:
    """A percentile of a list of numbers, for example the 90th."""
    return Percentile(value=round(_percentile(numbers(values), percent), 6))


@summaries.get("/outliers")
def find_outliers(values: Values) -> Outliers:
    """Find the outliers of a list of numbers by the rule of the interquartile range."""
    found = numbers(values)
    low, high = _percentile(found, 25), _percentile(found, 75)
    fences = low - 1.5 * (high - low), high + 1.5 * (high - low)
    return Outliers(
        outliers=[v for v in found if not fences[0] <= v <= fences[1]],
        lower_fence=round(fences[0], 6),
        upper_fence=round(fences[1], 6),
    )


@summaries.get("/histogram")
def histogram(values: Values, bins: Annotated[int, integer("Number of bars", 4, ge=1, le=50)] = 5) -> Histogram:
    """Sort numbers into bars of equal width and count them, for a histogram."""
    found = numbers(values)
    low, width = min(found), (max(found) - min(found)) / bins
    counts = [0] * bins
    for value in found:
        counts[min(bins - 1, int((value - low) / width)) if width else 0] += 1
    return Histogram(
        bins=[
            Bin(start=round(low + n * width, 6), end=round(low + (n + 1) * width, 6), count=count)
            for n, count in enumerate(counts)
        ]
    )


class Correlation(Answer):
    """How closely two series go together."""

    coefficient: float
    """Pearson's r, -1 to 1."""
    strength: str
    """none, weak, moderate or strong, by the size of r."""


class Line(Answer):
    """A straight line y = slope x + intercept."""

    slope: float
    """Change of y for one of x."""
    intercept: float
    """y where x is 0."""
    r_squared: float
    """Share of the variance of y that the line explains, 0 to 1."""


class Forecast(Answer):
    """A value read off a line."""

    predicted_y: float
    """y of the fitted line at the x asked for."""


def _pairs(xs: str, ys: str) -> tuple[list[float], list[float]]:
    x, y = numbers(xs), numbers(ys)
    if len(x) != len(y) or len(x) < 2:
        raise refuse(f"x has {len(x)} and y has {len(y)} values; give the same number, at least 2, of both")
    if len(set(x)) == 1:
        raise refuse("all values of x are equal, so nothing can be said about y")
    return x, y


def _line(xs: str, ys: str) -> tuple[float, float, float]:
    """Slope, intercept and Pearson's r; r is 0 where y is constant."""
    x, y = _pairs(xs, ys)
    slope, intercept = statistics.linear_regression(x, y)
    return slope, intercept, statistics.correlation(x, y) if len(set(y)) > 1 else 0.0


@relations.get("/correlation")
def correlation(xs: Xs, ys: Ys) -> Correlation:
    """Pearson's correlation coefficient of two series of numbers, and how strong it is."""
    r = round(_line(xs, ys)[2], 6)
    strength = next(
        s for bound, s in ((0.7, "strong"), (0.4, "moderate"), (0.1, "weak"), (0, "none")) if abs(r) >= bound
    )
    return Correlation(coefficient=r, strength=strength)


@relations.get("/line")
def fit_line(xs: Xs, ys: Ys) -> Line:
    """Fit a straight line to points by least squares: slope, intercept and goodness of fit."""
    slope, intercept, r = _line(xs, ys)
    return Line(slope=round(slope, 6), intercept=round(intercept, 6), r_squared=round(r * r, 6))


@relations.get("/forecast")
def forecast_value(
    xs: Xs, ys: Ys, at: Annotated[float, number("The x to forecast y for", 8, ge=-1e6, le=1e6)]
) -> Forecast:
    """Forecast a value by extending the straight line fitted to earlier points, for example next month's sales."""
    slope, intercept, _ = _line(xs, ys)
    return Forecast(predicted_y=round(slope * at + intercept, 6))


class Chance(Answer):
    """A probability."""

    probability: float
    """0 to 1."""
    percent: float
    """The same in percent."""


def _chance(probability: float) -> Chance:
    return Chance(probability=round(probability, 8), percent=round(100 * probability, 4))


@chances.get("/dice")
def dice_sum_probability(
    total: Annotated[int, integer("Sum to reach exactly", 7, ge=1, le=1000)],
    dice: Annotated[int, integer("Number of dice", 2, ge=1, le=20)] = 2,
    sides: Annotated[int, integer("Sides of each die", 6, ge=2, le=100)] = 6,
) -> Chance:
    """The probability that the sum of several dice is exactly a given number."""
    # Inclusion and exclusion over the dice that would exceed their sides.
    ways = sum(
        (-1) ** k * comb(dice, k) * comb(total - sides * k - 1, dice - 1)
        for k in range(dice + 1)
        if total - sides * k >= dice
    )
    return _chance(ways / sides**dice)


@chances.get("/binomial")
def binomial_probability(
    trials: Annotated[int, integer("Number of independent trials", 10, ge=1, le=500)],
    successes: Annotated[int, integer("Number of successes", 3, ge=0, le=500)],
    chance: Annotated[float, number("Probability of success in one trial", 0.5, ge=0, le=1)],
) -> Chance:
    """The probability of exactly so many successes in repeated independent trials, for example coin tosses."""
    ways = comb(trials, successes)
    return _chance(ways * chance**successes * (1 - chance) ** (trials - successes) if ways else 0.0)


@chances.get("/normal")
def normal_probability(
    mean: Annotated[float, number("Mean of the distribution", 100)],
    standard_deviation: Annotated[float, number("Standard deviation of the distribution", 15, ge=1e-9)],
    below: Annotated[float, number("Upper limit of the value", 130)],
) -> Chance:
    """The probability that a normally distributed value is below a limit, for example a test score."""
    return _chance(statistics.NormalDist(mean, standard_deviation).cdf(below))
