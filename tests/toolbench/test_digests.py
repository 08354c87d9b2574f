import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbench.digests import canonical, digest, draw, seed_of

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), values, min_size=2, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict) -> None:
    turned = dict(reversed(value.items()))
    assert canonical(turned) == canonical(value)
    assert digest(turned) == digest(value)


def test_reference_values() -> None:
    # Pinned: a change would rename every shard and move every draw.
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'
    assert digest({"a": 1}) == "015abd7f5cc57a2d"
    assert len(digest("x", 32)) == 32
    assert digest("x", 32).startswith(digest("x"))
    assert draw("salt", "name") == pytest.approx(0.08947357663324837)
    assert seed_of(1, "a") == 537957459


@given(st.text(st.characters()), st.text(st.characters()))
def test_a_draw_is_in_range_and_a_seed_has_31_bits(salt: str, name: str) -> None:
    assert 0 <= draw(salt, name) < 1
    assert 0 <= seed_of(salt, name) < 2**31


def test_half_a_surrogate_pair_is_no_error() -> None:
    assert digest("\ud83d") != digest("\ud83e")
    assert seed_of("\ud83d") != seed_of("\ud83e")
    assert draw("\ud83d", "x") != draw("\ud83e", "x")


def test_numbers_that_json_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))


def test_draws_are_spread_evenly() -> None:
    low = sum(draw("split", str(n)) < 0.25 for n in range(4000))
    assert 900 < low < 1100
