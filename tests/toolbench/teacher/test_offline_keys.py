"""Keys that the offline teacher names, through the request an endpoint sees."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench.teacher.offline import complete

SCHEMA = {
    "type": "object",
    "properties": {"keys": {"type": "array", "items": {"type": "string"}}},
    "required": ["keys"],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def ask(*responses: Any) -> list[str]:
    block = {"api": {"name": "news_for_sky"}, "responses": responses}
    form = {"type": "json_schema", "json_schema": {"name": "keys", "schema": SCHEMA}}
    messages = [{"role": "user", "content": f"Name the keys.\n```json\n{json.dumps(block)}\n```"}]
    reply = complete({"messages": messages, "response_format": form})
    found = json.loads(reply["choices"][0]["message"]["content"])
    assert set(found) == {"keys"}
    keys: list[str] = found["keys"]
    return keys


def test_plain_values_of_every_item_are_named_the_telling_ones_first() -> None:
    item = {"title": "A", "slug": "a", "price": {"amount": 3}, "thumbnail": "t.png", "authors": [{"fullName": "B"}]}
    keys = ask({"total": 2, "items": [item, "… 9 more items"], "…": "… 3 more keys"})
    assert keys[0] == "total"
    assert set(keys[:4]) == {"total", "items[].title", "items[].authors[].fullName", "items[].price.amount"}
    assert keys[4:] == ["items[].slug", "items[].thumbnail"]


def test_what_every_response_has_goes_before_what_one_has() -> None:
    assert ask({"word": 1, "b": 1}, {"b": 2}, {"b": 3}) == ["b", "word"]


def test_no_more_than_twelve() -> None:
    assert len(ask([{f"field{n}": n for n in range(40)}])) == 12


@settings(deadline=None, max_examples=60)
@given(st.lists(JSON, max_size=4))
def test_any_responses_have_an_answer(responses: list[Any]) -> None:
    assert all(isinstance(key, str) and key for key in ask(*responses))
