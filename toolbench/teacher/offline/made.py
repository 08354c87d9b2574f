"""Made values: numbers, dates, texts and lists like the documented ones, drawn anew for every instruction."""

import math
import re
from collections.abc import Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

from toolbench.teacher.offline.kinds import Parameter

_RANGE = re.compile(r"(-?\d+(?:\.\d+)?) to (-?\d+(?:\.\d+)?)(?![\d-])")
"""A range as descriptions state it: "a share, 0 to 1"."""

_LIMITS = {"minute": 59, "second": 59, "hour": 23, "atomic": 103}
"""The highest value of what a number's label names, where the description does not say it."""

_LIKE_NUMBERS = ("integer", "number", "small", "amount", "rate")


def date_of(rng: Random, first: date, last: date) -> str:
    """A day of a span, as YYYY-MM-DD."""
    return (first + timedelta(days=rng.randrange((last - first).days))).isoformat()


def text(parts: Sequence[Sequence[str]], rng: Random) -> str:
    """One of each part, as a sentence."""
    return " ".join(rng.choice(part) for part in parts)


def geohash(rng: Random) -> str:
    """A cell of the map: eight of the 32 characters of geohashes, a digit among them."""
    return (
        "".join(rng.choices("bcdefghjkmnpqrstuvwxyz", k=2))
        + str(rng.randrange(10))
        + "".join(rng.choices("0123456789bcdefghjkmnpqrstuvwxyz", k=5))
    )


def number(wanted: Parameter, rng: Random) -> Any:
    """A number of the size and exactness of the documented one; None where none is documented.

    It keeps to the schema's limits, to a range that the description states, and to those of minutes and hours.
    """
    first = wanted.documented[0] if wanted.documented else None
    if wanted.kind not in _LIKE_NUMBERS or isinstance(first, bool) or not isinstance(first, (int, float)):
        return None
    low, high = _limits(wanted)
    if isinstance(first, int) or float(first).is_integer():
        return _whole(int(first), low, high, rng)
    digits = min(len(str(first).partition(".")[2]), 2)
    drawn = round(first * rng.uniform(0.4, 1.3), digits)
    drawn = min(max(drawn, low), high) if low <= high else first
    return int(drawn) if float(drawn).is_integer() else drawn


def _whole(first: int, low: float, high: float, rng: Random) -> int | None:
    size = abs(first)
    step = 1 if size < 200 else 10 ** max(0, int(math.log10(size)) - 2)
    bottom, top = (-(-size // 2), size + size // 2) if size <= 12 else (int(size * 0.4), int(size * 1.3))
    bottom, top = max(math.ceil(max(low, min(1, size))), bottom), math.floor(min(high, max(top, 9 if size == 0 else 2)))
    if bottom > top:
        return None
    drawn = max(bottom, min(top, rng.randint(bottom, top) // step * step))
    return -drawn if first < 0 else drawn


def _limits(wanted: Parameter) -> tuple[float, float]:
    low = -math.inf if wanted.minimum is None else wanted.minimum
    high = math.inf if wanted.maximum is None else wanted.maximum
    if stated := _RANGE.search(wanted.description):
        low, high = max(low, float(stated.group(1))), min(high, float(stated.group(2)))
    for word, most in _LIMITS.items():
        if re.match(rf"{word}s?\b", wanted.label):
            high = min(high, most)
    return low, high


def numbers(rng: Random, length: int = 0) -> list[int | float]:
    """A list of numbers, whole or with one decimal; as long as asked for, else five to eight."""
    count, highest = length or rng.randint(5, 8), rng.choice((20, 40, 99, 200))
    if rng.random() < 0.7:
        return [rng.randint(1, highest) for _ in range(count)]
    return [round(rng.uniform(0.5, highest / 4), 1) for _ in range(count)]


def series(count: int, rng: Random) -> list[list[int | float]]:
    """Series of one length: the first rises by even steps, the others follow it more or less."""
    length, start, step = rng.randint(4, 7), rng.randint(0, 6), rng.choice((1, 1, 2, 3, 5))
    rising: list[int | float] = [start + step * place for place in range(length)]
    slope, base = rng.uniform(0.4, 4), rng.uniform(0, 12)
    others = [
        [round(base + slope * place + rng.uniform(-0.4, 0.4) * slope, 1) for place in rising] for _ in range(count - 1)
    ]
    return [rising, *others]


def varied(value: Any, rng: Random) -> Any:
    """A documented object or nested list with its positive whole numbers a little larger."""
    if isinstance(value, dict):
        return {key: varied(item, rng) for key, item in value.items()}
    if isinstance(value, list):
        return [varied(item, rng) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value + rng.randint(0, 4)
    return value


def triangle(rng: Random) -> tuple[int, int, int]:
    """Three sides, the longest shorter than the other two together."""
    one, two = rng.randint(3, 30), rng.randint(3, 30)
    return one, two, rng.randint(abs(one - two) + 1, one + two - 1)
