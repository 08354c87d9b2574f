"""What an API is called with."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from workshop import an_api

from toolbench.records import Api, Parameter
from toolbench.screening.arguments import arguments_of, without_value


def parameter(name: str, default: Any = ..., required: bool = True, **fields: Any) -> Parameter:
    text = None if default is ... else json.dumps(default)
    return Parameter(name=name, shown_as=name, type="string", required=required, default=text, **fields)


def api(*parameters: Parameter, properties: dict[str, Any] | None = None) -> Api:
    definition = json.dumps(
        {"name": "f", "description": "", "parameters": {"type": "object", "properties": properties or {}}}
    )
    return an_api("X", "now", parameters=list(parameters), definition=definition)


def test_first_the_required_ones_alone_then_with_the_optional_ones() -> None:
    one = api(
        parameter("city", "Oslo"),
        parameter("days", 3, False),
        parameter("lang", "no", False),
        parameter("x", required=False),
    )
    assert arguments_of(one, 2) == [{"city": "Oslo"}, {"city": "Oslo", "days": 3, "lang": "no"}]
    assert arguments_of(one, 9)[2:] == [{"city": "Oslo", "days": 3}, {"city": "Oslo", "lang": "no"}]


def test_an_api_without_parameters_is_called_once() -> None:
    assert arguments_of(api(), 5) == [{}]


def test_without_a_default_an_example_or_the_first_choice_counts() -> None:
    shapes = {"unit": {"enum": ["C", "F"]}, "city": {"examples": ["Bergen"], "enum": ["Oslo"]}, "n": {"default": 4}}
    one = api(parameter("unit"), parameter("city", ""), parameter("n"), properties=shapes)
    assert arguments_of(one, 1) == [{"unit": "C", "city": "Bergen", "n": 4}]


def test_without_any_value_for_a_required_one_there_is_no_call() -> None:
    one = api(parameter("city"), parameter("day", ""), parameter("n", 1))
    assert arguments_of(one, 3) == []
    assert without_value(one) == ["city", "day"]


def test_a_credential_is_left_to_the_settings() -> None:
    one = api(parameter("key", secret=True), parameter("city", "Oslo"))
    assert arguments_of(one, 2) == [{"city": "Oslo"}]
    assert without_value(one) == []


@given(st.text(max_size=30), st.text(max_size=60), st.integers(1, 50))
def test_damaged_documents_make_no_arguments_and_no_exception(default: str, definition: str, calls: int) -> None:
    damaged = an_api("X", "now", definition=definition, parameters=[
        Parameter(name="city", shown_as="city", type="string", required=True, default=default)
    ])  # fmt: skip
    found = arguments_of(damaged, calls)
    assert len(found) <= calls
    assert all(json.loads(json.dumps(arguments, allow_nan=False)) == arguments for arguments in found)
