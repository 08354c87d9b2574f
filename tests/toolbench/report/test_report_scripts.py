"""Data files and the search index: no text breaks out of a script, and what is sought is what is found."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolbench.report.clipping import LARGEST, LIMITS, Clip, fitted
from toolbench.report.scripts import Buckets, bucket, buckets_for, line
from toolbench.report.searching import PAGE, SearchIndex, start, words

TEXT = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(["</script>", "\u2028", "\ud800", "__proto__"])
"""Half a surrogate pair as well, which JSON can spell."""
WORDS = st.lists(
    st.sampled_from(["rain", "snow", "wind", "Sky", "getWeather", "weather_now", "12", "ä", "Straße", "東京", "the"]),
    max_size=6,
)


def calls(text: str) -> list[list[Any]]:
    """The arguments of every call in a data file."""
    return [json.loads(f"[{call}]") for call in re.findall(r"^toolbench\.data\((.*)\);$", text, re.M)]


@given(TEXT, TEXT, st.recursive(TEXT | st.integers() | st.none() | st.booleans(), lambda s: st.lists(s, max_size=3)))
def test_a_line_is_one_call_of_plain_ascii_that_hands_over_what_it_was_given(kind: str, key: str, value: Any) -> None:
    text = line(kind, key, value)
    assert text.isascii()
    assert "<" not in text
    assert text.count("\n") == 1
    assert calls(text) == [[kind, key, value]]


@pytest.mark.parametrize(
    ("rows", "each", "files"), [(0, 16, 1), (16, 16, 1), (17, 16, 2), (100_000, 16, 8192), (10**9, 1, 65536)]
)
def test_files_are_a_power_of_two(rows: int, each: int, files: int) -> None:
    assert buckets_for(rows, each) == files


def test_what_belongs_to_a_key_meets_in_its_file_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolbench.report.scripts._HELD", 400)
    keys = [f"k{n}" for n in range(50)]
    with Buckets(tmp_path / "trees", 8) as trees:
        for kind in ("tree", "judgment"):
            for key in keys:
                trees.add(kind, key, {"of": key})
    files = sorted((tmp_path / "trees").iterdir())
    assert [file.name for file in files] == [f"{n:04x}.js" for n in range(8)]
    for number, file in enumerate(files):
        mine = [key for key in keys if bucket(key, 8) == number]
        assert calls(file.read_text()) == [[k, key, {"of": key}] for k in ("tree", "judgment") for key in mine]


def test_a_text_is_cut_and_a_whole_that_is_too_large_is_cut_more() -> None:
    assert fitted(lambda clip: [clip("short")]) == ["short"]
    assert fitted(lambda clip: clip("x" * 20_000)) == ["x" * LIMITS[0], 20_000]
    many = fitted(lambda clip: [clip("x" * 20_000) for _ in range(50)])
    assert many == [["x" * LIMITS[1], 20_000]] * 50
    assert sum(len(text) for text, _ in many) < LARGEST
    most = fitted(lambda clip: [clip("x" * 20_000) for _ in range(5000)])
    assert most[0] == ["x" * LIMITS[2], 20_000]
    assert Clip(3)("abc") == "abc"


class Reader:
    """Reads an index as a page does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ((_, self.name, self.index),) = calls((folder / "index.js").read_text())

    def documents(self) -> list[Any]:
        pages = range(-(-self.index["count"] // PAGE))
        return [row for n in pages for row in calls((self.folder / f"docs/{n}.js").read_text())[0][2]]

    def word(self, word: str) -> list[int]:
        name = start(word, self.index["width"])
        assert (name in self.index["starts"]) is (self.folder / f"words/{name}.js").is_file()
        found = calls((self.folder / f"words/{name}.js").read_text()) if name in self.index["starts"] else []
        return [hit for kind, key, steps in found if (kind, key) == ("word", word) for hit in self.sums(steps)]

    def facet(self, name: str, value: str) -> list[int]:
        names = [f"{facet}:{v}" for facet, values in self.index["facets"].items() for v, _ in values]
        ((_, key, steps),) = calls((self.folder / f"facets/{names.index(f'{name}:{value}')}.js").read_text())
        assert key == f"{name}:{value}"
        return self.sums(steps)

    @staticmethod
    def sums(steps: Sequence[int]) -> list[int]:
        return [sum(steps[: n + 1]) for n in range(len(steps))]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS, st.sampled_from(["a", "b"])), max_size=PAGE + 20))
def test_an_index_finds_every_document_by_its_words_and_facets(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[list[str], list[str], str]]
) -> None:
    folder = tmp_path_factory.mktemp("index") / "things"
    index = SearchIndex(folder, ("kind",))
    for n, (strong, weak, kind) in enumerate(rows):
        index.add([n, kind], " ".join(strong), " ".join(weak), {"kind": kind})
    index.finish()
    read = Reader(folder)
    assert read.documents() == [[n, kind] for n, (_, _, kind) in enumerate(rows)]
    for word in ("rain", "weather", "getweather", "12", "ä", "straße", "東京", "never"):
        strong_in = [n for n, (strong, _, _) in enumerate(rows) if word in words(" ".join(strong))]
        weak_in = [n for n, (_, weak, _) in enumerate(rows) if word in words(" ".join(weak))]
        expected = sorted({2 * n + 1 for n in strong_in} | {2 * n for n in weak_in if n not in strong_in})
        assert read.word(word) == expected
    for kind in {kind for _, _, kind in rows}:
        assert read.facet("kind", kind) == [n for n, row in enumerate(rows) if row[2] == kind]


def test_words_that_are_nearly_everywhere_are_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolbench.report.searching._FEW", 10)
    index = SearchIndex(tmp_path / "things", ())
    for n in range(20):
        index.add([n], "", f"please n{n} {'rain' if n < 10 else 'snow'}", {})
    index.finish()
    read = Reader(tmp_path / "things")
    assert read.index["common"] == ["please"]
    assert read.word("please") == []
    assert len(read.word("rain")) == 10


def test_words_of_names() -> None:
    assert words("getWeatherByCity_v2") == {"getweatherbycity", "get", "weather", "by", "city", "v2"}
    assert words("\ufb01ne \u00bd") >= {"fine"}
    assert {len(word) for word in words("x" * 100)} == {40}
