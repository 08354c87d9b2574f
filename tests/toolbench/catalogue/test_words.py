import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.catalogue.words import STOPWORDS, apart, singular, words


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("movies", "movie"),
        ("cities", "city"),
        ("cookies", "cooky"),
        ("addresses", "address"),
        ("matches", "match"),
        ("boxes", "box"),
        ("cars", "car"),
        ("news", "news"),
        ("odds", "odds"),
        ("species", "species"),
        ("status", "status"),
        ("business", "business"),
        ("gas", "gas"),
        ("analysis", "analysis"),
    ],
)
def test_singular(plural: str, one: str) -> None:
    assert singular(plural) == one


def test_words_are_telling_lower_case_and_in_the_singular() -> None:
    assert words("The BEST API for YouTube Videos: España, 24 links & ½ city's maps!") == [
        "youtube",
        "video",
        "españa",
        "city",
        "map",
    ]


def test_a_stop_word_is_left_out_in_its_plural_too() -> None:
    assert "link" in STOPWORDS
    assert words("link links tools example-examples") == []


def test_names_are_taken_apart_where_they_were_put_together() -> None:
    assert words(apart("getWeatherByCity_mapV2")) == ["weather", "city", "map"]
    assert words(apart("YouTube")) == ["tube"]


@given(st.text())
def test_any_text_gives_lower_case_words_of_2_to_20_letters(text: str) -> None:
    for word in words(text):
        assert word not in STOPWORDS
        assert word == word.lower()
        assert 1 < len(word) <= 20
