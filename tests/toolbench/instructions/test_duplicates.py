"""Near duplicates: what is said is true, earlier ones win, and what is there is found."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.instructions.duplicates import NearDuplicates, _Buckets, shingles, similarity

RAIN = (
    "I'm planning a picnic in Oslo on Saturday with ten colleagues. Will it rain there in the afternoon, and how warm?"
)
ALSO_RAIN = RAIN.replace("ten", "nine")
OTHER = "Which trains run from Bergen to Voss on Sunday morning, and what does a return ticket for two adults cost?"


def near(*texts: str) -> NearDuplicates:
    found = NearDuplicates()
    assert [found.add(str(number), text) for number, text in enumerate(texts)] == [None] * len(texts)
    return found


def test_the_earlier_near_duplicate_is_named_with_the_exact_similarity() -> None:
    found = near(OTHER, RAIN).add("late", ALSO_RAIN)
    assert found == ("1", similarity(shingles(RAIN), shingles(ALSO_RAIN)))
    assert 0.6 <= found[1] < 1


def test_a_near_duplicate_is_not_kept() -> None:
    found = near(RAIN)
    assert found.add("1", ALSO_RAIN) is not None
    assert len(found) == 1
    assert found.add("2", ALSO_RAIN)[0] == "0"  # type: ignore[index]


def test_case_punctuation_and_spacing_make_no_difference() -> None:
    assert near(RAIN).add("1", "  ".join(RAIN.upper().replace(",", " -").split())) == ("0", 1.0)


def test_looking_keeps_nothing() -> None:
    found = near(RAIN)
    assert found.find(OTHER) is None
    assert found.add("1", OTHER) is None
    assert found.find(ALSO_RAIN)[0] == "0"  # type: ignore[index]


def test_of_several_the_most_similar_is_named_and_of_equals_the_first() -> None:
    texts = [RAIN, RAIN.replace("Oslo", "Bergen").replace("Saturday", "Monday").replace("warm", "cold")]
    found = NearDuplicates(0.9)
    assert [found.add(str(i), text) for i, text in enumerate(texts)] == [None, None]
    found.threshold = 0.3
    assert found.find(texts[1]) == ("1", 1.0)
    assert found.find(RAIN) == ("0", 1.0)


def test_the_threshold_decides() -> None:
    alike = similarity(shingles(RAIN), shingles(ALSO_RAIN))
    for threshold, expected in ((alike, ("0", alike)), (alike + 0.01, None)):
        found = NearDuplicates(threshold)
        found.add("0", RAIN)
        assert found.add("1", ALSO_RAIN) == expected


@pytest.mark.parametrize("threshold", [0, -1, 1.5])
def test_a_threshold_is_a_share(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        NearDuplicates(threshold)


@pytest.mark.parametrize(("one", "other", "alike"), [
    ("a b c d", "a b c d", 1.0), ("a b c d", "a b c e", 1 / 3), ("a b", "A, B!", 1.0), ("", "!?", 1.0), ("a", "b", 0.0),
])  # fmt: skip
def test_similarity_is_that_of_three_word_runs(one: str, other: str, alike: float) -> None:
    assert similarity(shingles(one), shingles(other)) == pytest.approx(alike)


@given(st.lists(st.text(max_size=60), max_size=12))
def test_whatever_the_texts_what_is_said_is_true_and_equals_are_found(texts: list[str]) -> None:
    found, kept = NearDuplicates(), dict[str, str]()
    for number, text in enumerate(texts):
        said = found.add(str(number), text)
        if said is None:
            assert shingles(text) not in [shingles(other) for other in kept.values()]
            kept[str(number)] = text
        else:
            assert said[1] == similarity(shingles(text), shingles(kept[said[0]])) >= found.threshold
    assert len(found) == len(kept)


def test_nearly_all_near_duplicates_are_found_and_nothing_else() -> None:
    rng = random.Random(3)
    words = [f"word{i}" for i in range(300)]
    found, kept = NearDuplicates(), list[frozenset[int]]()
    said = there = 0
    for number in range(400):
        text = rng.choices(words, k=40)
        for copy in range(2):
            for _ in range(copy * rng.randint(1, 5)):
                text[rng.randrange(40)] = "other"
            mine = shingles(" ".join(text))
            there += any(similarity(mine, other) >= found.threshold for other in kept)
            if found.add(f"{number}-{copy}", " ".join(text)):
                said += 1
            else:
                kept.append(mine)
    assert there > 200
    assert 0.97 * there <= said <= there


def test_the_table_finds_all_of_a_key_after_it_has_grown() -> None:
    buckets = _Buckets()
    keys = [i * 7919 % 2**32 if i % 3 else 5 for i in range(10_000)]
    for key in keys:
        buckets.append(key)
    assert sorted(buckets.find(5)) == [i for i, key in enumerate(keys) if key == 5]
    assert list(buckets.find(7919)) == [1]
    assert list(buckets.find(6)) == []
