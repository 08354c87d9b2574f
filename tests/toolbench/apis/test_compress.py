"""Shortened responses: always JSON, always within the limit, and nothing in them that the response did not say."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench import tokens
from toolbench.apis.compress import compress, paths, unpacked

NOTE = re.compile(r"… (\d+) ((?:more )?(?:item|key|character)s?)$")

TEXTS = st.text(st.characters(), max_size=40) | st.builds(lambda t, n: t * n, st.text(max_size=12), st.integers(1, 200))
NUMBERS = st.integers() | st.integers(10**50, 10**60) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
SMALL = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=15,
)
MANY = st.builds(lambda item, n: [item] * n, SMALL, st.integers(1, 60)) | st.builds(
    lambda item, n: {f"{n}-{i}": item for i in range(n)}, SMALL, st.integers(1, 80)
)
JSON = SMALL | MANY | st.lists(SMALL | MANY, max_size=4) | st.dictionaries(TEXTS, SMALL | MANY, max_size=4)
LIMITS = st.integers(32, 300)
CATALOGUE = {
    "page": 1,
    "data": {"items": [{"id": n, "name": f"Thing {n}", "dims": {"w": n, "h": 2}} for n in range(400)]},
    "meta": {"total": 400},
}


def length(value: Any) -> int:
    return tokens.count(json.dumps(value, ensure_ascii=False))


def note(value: Any, what: str) -> int | None:
    """How many of `what` a note says were left out; None if it is no such note."""
    found = NOTE.search(value) if isinstance(value, str) else None
    return int(found[1]) if found and found[2].startswith(what) else None


def objection(short: Any, whole: Any) -> str:
    """What a shortened value says that the whole did not, or where a count is wrong; empty if nothing."""
    if short == whole and type(short) is type(whole):
        return ""
    if isinstance(whole, list) and isinstance(short, list):
        rest = note(short[-1], "more item") if len(short) <= len(whole) and short else None
        kept = short[:-1] if rest is not None else short
        if len(kept) + (rest or 0) != len(whole):
            return f"{len(kept)} items and {rest} more are not {len(whole)}"
        return next(filter(None, map(objection, kept, whole)), "")
    if isinstance(whole, dict) and isinstance(short, dict):
        kept = {key: item for key, item in short.items() if key in whole}
        notes = [item for key, item in short.items() if key not in whole]
        if len(kept) + sum(note(item, "more key") or 0 for item in notes) != len(whole) or len(notes) > 1:
            return f"{len(kept)} keys and {notes} are not {len(whole)}"
        return next(filter(None, (objection(item, whole[key]) for key, item in kept.items())), "")
    if isinstance(whole, list | dict):
        left = note(short, "item" if isinstance(whole, list) else "key")
        return "" if left == len(whole) else f"{short!r} for {len(whole)}"
    text = whole if isinstance(whole, str) else json.dumps(whole)
    left = note(short, "more character")
    if left is None or not text.startswith(NOTE.sub("", short)) or len(NOTE.sub("", short)) + left != len(text):
        return f"{short!r} is not the beginning of {text!r}"
    return ""


@settings(max_examples=80, deadline=None)
@given(JSON | JSON.map(json.dumps), LIMITS)
def test_whatever_comes_is_valid_within_the_limit_and_true(value: Any, limit: int) -> None:
    short = compress(value, (), limit)
    assert json.loads(json.dumps(short, ensure_ascii=False)) == short
    assert length(short) <= limit
    assert objection(short, unpacked(value) if length(value) > limit else value) == ""
    assert compress(short, (), limit) == short
    assert compress(value, (), limit) == short, "the same again gives the same"
    if length(value) <= limit:
        assert short is value


@settings(max_examples=40, deadline=None)
@given(JSON, LIMITS, st.data())
def test_with_any_keys_it_is_still_valid_and_within_the_limit(value: Any, limit: int, data: st.DataObject) -> None:
    known = paths(value)
    keys = data.draw(st.lists(st.sampled_from(known) if known else TEXTS, max_size=4)) + data.draw(
        st.lists(TEXTS, max_size=2)
    )
    short = compress(value, keys, limit)
    assert json.loads(json.dumps(short, ensure_ascii=False)) == short
    assert length(short) <= limit
    if length(value) <= limit:
        assert short is value


def test_what_fits_is_not_reduced_to_the_keys() -> None:
    assert compress(CATALOGUE, ["page"], 100_000) is CATALOGUE


def test_what_does_not_fit_is_first_reduced_to_the_keys() -> None:
    keys = ["data.items[].name", "meta.total"]
    names = [{"name": f"Thing {n}"} for n in range(400)]
    assert compress(CATALOGUE, keys, 4000) == {"data": {"items": names}, "meta": {"total": 400}}
    shorter = compress(CATALOGUE, keys, 200)
    items = shorter["data"]["items"]
    assert items[:-1] == names[: len(items) - 1]
    assert items[-1] == f"… {400 - len(items) + 1} more items"
    assert shorter["meta"] == {"total": 400}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("meta", {"meta": {"total": 400}}),
        ("meta.total", {"meta": {"total": 400}}),
        ("data.items[].dims.w", {"data": {"items": [{"dims": {"w": n}} for n in range(400)]}}),
    ],
)
def test_a_key_names_what_is_below_it(key: str, expected: Any) -> None:
    assert compress(CATALOGUE, [key, "no.such", "data[].items", "met"], 5000) == expected


def test_a_list_at_the_top_and_lists_in_lists_have_keys_as_well() -> None:
    rows = [{"cells": [[{"v": n, "style": "bold" * 20}]], "tags": ["a", "b"]} for n in range(50)]
    assert compress(rows, ["[].cells[][].v"], 700) == [{"cells": [[{"v": n}]]} for n in range(50)]
    assert compress(rows, ["[].tags[]"], 700) == [{"tags": ["a", "b"]}] * 50


def test_a_name_with_a_dot_is_found_by_its_path() -> None:
    value = {"a.b": {"c": "kept"}, "filler": ["word"] * 300}
    assert compress(value, ["a.b.c"], 100) == {"a.b": {"c": "kept"}}


def test_if_no_key_matches_the_whole_is_shortened() -> None:
    assert compress(CATALOGUE, ["results[].title"], 300) == compress(CATALOGUE, (), 300)
    assert compress(CATALOGUE, (), 300)["meta"] == {"total": 400}


def test_as_many_items_as_fit_are_shown_whole() -> None:
    short = compress(CATALOGUE, (), 1000)
    items = short["data"]["items"]
    assert items[:-1] == CATALOGUE["data"]["items"][: len(items) - 1]
    fuller = {**CATALOGUE, "data": {"items": [*CATALOGUE["data"]["items"][: len(items) + 2], "… 360 more items"]}}
    assert length(short) <= 1000 < length(fuller)


def test_an_object_of_very_many_keys_is_shortened_like_a_list() -> None:
    value = {f"SYM{n}": {"open": n, "close": n + 1} for n in range(300)}
    short = compress(value, (), 200)
    kept = {key: item for key, item in short.items() if key in value}
    assert len(kept) >= 3
    assert kept == {key: value[key] for key in list(value)[: len(kept)]}
    assert short["…"] == f"… {300 - len(kept)} more keys"


def test_large_items_are_shown_in_part_and_small_fields_stay_whole() -> None:
    articles = [{"id": n, "title": f"Title {n}", "text": "long words follow here " * 300} for n in range(20)]
    short = compress(articles, (), 300)
    assert [item["id"] for item in short[:-1]] == [0, 1, 2]
    assert [item["title"] for item in short[:-1]] == ["Title 0", "Title 1", "Title 2"]
    assert all(note(item["text"], "more character") for item in short[:-1])
    assert short[-1] == "… 17 more items"


def test_a_text_is_clipped_between_words_with_a_count() -> None:
    text = "Every word of this sentence is kept or left out as a whole. " * 40
    short = compress(text, (), 50)
    head, _, rest = short.partition("…")
    assert text.startswith(head)
    assert text[len(head)] == " "
    assert int(NOTE.search(short)[1]) == len(text) - len(head)  # type: ignore[index]
    assert rest.endswith(" more characters")


def test_a_text_without_blanks_is_clipped_all_the_same() -> None:
    short = compress("ab12" * 500, (), 40)
    assert short.startswith("ab12ab12")
    assert objection(short, "ab12" * 500) == ""


def test_a_text_that_holds_json_is_shortened_as_json() -> None:
    short = compress(json.dumps(CATALOGUE), ["data.items[].id"], 200)
    assert short["data"]["items"][:2] == [{"id": 0}, {"id": 1}]
    numbers = json.dumps([1.5, float("nan"), *range(300)])  # what Python writes and JSON has not
    assert compress(numbers, (), 50)[:2] == [1.5, None]
    broken = json.dumps(CATALOGUE)[:-1]
    assert note(compress(broken, ["data.items[].id"], 200), "more character")
    small = json.dumps(CATALOGUE["meta"])
    assert compress(small, (), 200) is small


def test_what_is_deep_goes_first() -> None:
    deep = {"name": "kept", "a": {"b": {"c": {"d": {f"key{n}": {"e": ["x"] * 9} for n in range(30)}}}}}
    short = compress(deep, (), 40)
    assert short["name"] == "kept"
    assert length(short) <= 40
    assert "… " in json.dumps(short["a"], ensure_ascii=False)


def test_a_key_that_looks_like_our_note_is_not_overwritten() -> None:
    value = {"…": "theirs", **{f"k{n}": "some words" for n in range(200)}}
    short = compress(value, (), 100)
    assert short["…"] == "theirs"
    assert note(short["……"], "more key")


def test_paths_name_everything_below_the_top_once() -> None:
    value = {"a": [{"b": 1}, {"b": 2, "c": [3]}], "d": {"e": None}, "…": "… 3 more keys"}
    assert paths(value) == ["a", "a[].b", "a[].c", "d", "d.e"]
    assert paths([[{"x": 1}]]) == ["[][].x"]
    assert paths("text") == []
