"""Values that must go together: two dates in order, latitude and longitude of one place, the sides of a triangle."""

from collections.abc import Mapping
from random import Random
from typing import Any

from toolbench.teacher.offline import made
from toolbench.teacher.offline.parameters import Parameter, pools

Values = Mapping[Parameter, Any]


def matched(chosen: Values, rng: Random) -> dict[Parameter, Any]:
    """The values of one call, changed where one of them alone would make no sense."""
    out = dict(chosen)
    for mend in (_dates, _spans, _series, _places, _units, _sides):
        out.update(mend(out, rng))
    return out


def _dates(chosen: Values, _: Random) -> dict[Parameter, Any]:
    """Dates in time order: a span has its start before its end."""
    wanted = [w for w, value in chosen.items() if w.kind == "date" and isinstance(value, str)]
    return dict(zip(wanted, sorted(chosen[w] for w in wanted), strict=True))


def _spans(chosen: Values, _: Random) -> dict[Parameter, Any]:
    """A start before its end, no more successes than trials."""
    ends = {w.label: w for w, value in chosen.items() if isinstance(value, (int, float))}
    out: dict[Parameter, Any] = {}
    for low, high in (("start", "end"), ("first", "last"), ("minimum", "maximum"), ("successes", "trials")):
        if low in ends and high in ends:
            smaller, larger = sorted((chosen[ends[low]], chosen[ends[high]]))
            out |= {ends[low]: smaller, ends[high]: larger}
    return out


def _series(chosen: Values, rng: Random) -> dict[Parameter, Any]:
    """Two lists of numbers are of one length."""
    wanted = [w for w in chosen if w.kind == "numbers" and w.type == "string"]
    if len(wanted) < 2:
        return {}
    drawn = made.series(len(wanted), rng)
    return {w: ",".join(map(str, numbers)) for w, numbers in zip(wanted, drawn, strict=True)}


def _places(chosen: Values, rng: Random) -> dict[Parameter, Any]:
    """Latitude and longitude of one place, a little beside its centre."""
    coordinates = (pools()["latitude"], pools()["longitude"])
    latitudes, longitudes = ([w for w in chosen if w.kind == kind] for kind in ("latitude", "longitude"))
    if any(isinstance(chosen[w], str) for w in (*latitudes, *longitudes)):
        return {}
    out: dict[Parameter, Any] = {}
    places = rng.sample(range(len(coordinates[0])), max(len(latitudes), len(longitudes)))
    for wanted, column in ((latitudes, coordinates[0]), (longitudes, coordinates[1])):
        for parameter, place in zip(wanted, places, strict=False):
            out[parameter] = round(column[place] + rng.uniform(-0.09, 0.09), rng.choice((2, 3, 4)))
    return out


def _units(chosen: Values, rng: Random) -> dict[Parameter, Any]:
    """Two units measure the same thing."""
    wanted = [w for w in chosen if w.kind == "unit" and w.type == "string" and not w.enum]
    return dict(zip(wanted, rng.choice(pools()["unit_pairs"]), strict=True)) if len(wanted) == 2 else {}


def _sides(chosen: Values, rng: Random) -> dict[Parameter, Any]:
    """Three numbers a, b and c that are sides make a triangle."""
    wanted = [w for w in chosen if w.label in ("a", "b", "c") and "side" in w.description]
    return dict(zip(wanted, made.triangle(rng), strict=True)) if len(wanted) == 3 else {}
