import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from toolbench.plots import Format, Point, bars, lines, scatter

SERIES = {"DFSDT": [Point(0, 0.9, 0.8, 0.95), Point(15, 0.7)], "ReAct <1> $x_$": [Point(0, 0.5, label="a&b")]}


def words(svg: bytes) -> str:
    return " ".join(ET.fromstring(svg).itertext())  # noqa: S314


@pytest.mark.parametrize("draw", [lines, scatter])
def test_a_plot_names_its_series_and_axes_as_they_are(draw: Callable[..., bytes]) -> None:
    found = words(draw(SERIES, title="Solved", x="calls $2 each", y="rate", percent=True))
    for text in ("Solved", "calls $2 each", "rate", "DFSDT", "ReAct <1> $x_$", "a&b", "100%"):
        assert text in found


def test_bars_leave_a_gap_where_nothing_was_measured() -> None:
    drawn = bars(["I1", "I2"], {"BM25": [Point(0, 0.4), None]}, title="NDCG@5", y="NDCG")
    assert "I2" in words(drawn)
    with pytest.raises(ValueError, match="series BM25 has 1 points for 2 groups"):
        bars(["I1", "I2"], {"BM25": [Point(0, 0.4)]}, title="", y="")


@pytest.mark.parametrize(("form", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_same_figures_give_the_same_bytes(form: Format, start: bytes) -> None:
    first, second = (lines(SERIES, title="t", x="x", y="y", form=form) for _ in range(2))
    assert first == second
    assert first.startswith(start)
