import json
from typing import Any

from toolbench.documents import document, words
from toolbench.records import Api, Parameter


def _parameter(name: str, required: bool = True, description: str = "", secret: bool = False) -> Parameter:
    return Parameter(name=name, shown_as=name, type="string", required=required, description=description, secret=secret)


def _api(**changes: Any) -> Api:
    fields: dict[str, Any] = {
        "id": "Weather/sky/forecast",
        "tool_id": "Weather/sky",
        "tool": "Sky",
        "name": "Get forecast",
        "category": "Weather_and_Climate",
        "collections": [],
        "description": "The forecast of a place.",
        "method": "GET",
        "url": "https://sky.test/forecast",
        "parameters": [],
        "function": "get_forecast_for_sky",
        "definition": "{}",
        "digest": "0",
    }
    return Api(**fields | changes)


def test_every_part_has_its_line() -> None:
    api = _api(
        parameters=[_parameter("city", description="Where"), _parameter("days", required=False), _parameter("lang")],
        response_example=json.dumps({"place": {"name": "x"}, "days": [{"low": 1, "high": 2}]}),
    )
    assert document(api).splitlines() == [
        "Weather and Climate: Sky: Get forecast",
        "The forecast of a place.",
        "Required: city: Where; lang",
        "Optional: days",
        "Returns: place, days, name, low, high",
    ]


def test_empty_parts_leave_no_line() -> None:
    assert document(_api(description="")) == "Weather and Climate: Sky: Get forecast"


def test_credentials_are_not_described() -> None:
    assert "key" not in document(_api(parameters=[_parameter("api_key", secret=True)]))


def test_markup_and_line_breaks_go_but_comparisons_stay() -> None:
    text = document(_api(description="<p>Rain&nbsp;if\n\n a < b &amp; c</p>"))
    assert text.endswith("\nRain if a < b & c")


def test_a_schema_comes_before_an_example_and_gives_its_property_names() -> None:
    schema = {
        "type": "array",
        "items": {"allOf": [{"properties": {"low": {}, "wind": {"properties": {"speed": {}}}}}, {"type": "object"}]},
    }
    text = document(_api(response_schema=json.dumps(schema), response_example='{"other": 1}'))
    assert text.endswith("\nReturns: low, wind, speed")


def test_what_a_crawl_may_hold_instead_of_a_response_gives_no_keys() -> None:
    for junk in ("not json", '"text"', "[]", "3", '{"properties": 4}', "[" * 100_000):
        assert "Returns" not in document(_api(response_schema=junk))
        if "properties" not in junk:
            assert "Returns" not in document(_api(response_example=junk))


def test_long_texts_are_cut() -> None:
    huge = _api(
        description="d" * 10_000,
        parameters=[_parameter("p", description="e" * 10_000)],
        response_example=json.dumps({f"key{i}": 1 for i in range(1000)}),
    )
    assert len(document(huge)) < 1500


def test_what_names_an_api_weighs_more_than_its_parameters_for_bm25() -> None:
    api = _api(
        parameters=[_parameter("city", description="Where"), _parameter("key", secret=True)],
        response_example=json.dumps({"low": 1}),
    )
    said = words(api, "<p>Weather  of the world</p>")
    counts = {w: said.count(w) for w in ("Climate", "Sky", "Get forecast", "of a place", "city", "low", "of the world")}
    assert counts == {
        "Climate": 1, "Sky": 2, "Get forecast": 2, "of a place": 3, "city": 1, "low": 1, "of the world": 1,
    }  # fmt: skip
    assert "key" not in said
    assert "<p>" not in said
    assert set(words(api).split()) <= set(said.split())
    assert words(_api(category="", tool="", name="", description="")) == ""
