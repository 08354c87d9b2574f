"""Instructions of the offline teacher: what must hold of every one, whatever the documents."""

import json
import re
from typing import Any

import pytest

from toolbench.teacher.offline import Faults, complete
from toolbench.teacher.offline.parameters import written
from toolbench.teacher.offline.write import instructions

SCHEMA = {
    "type": "object",
    "properties": {
        "instructions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "instruction": {"type": "string"},
                    "relevant_apis": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["instruction", "relevant_apis"],
            },
        }
    },
    "required": ["instructions"],
}


def parameter(name: str, kind: str = "string", description: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "required": True, "description": description, **more}


def api(name: str, tool: str, description: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "tool": tool, "category": "Misc", "description": description, "parameters": list(parameters)}


DISTANCE = api(
    "distance_for_geo", "geo", "Great-circle distance between two places.", parameter("from"), parameter("to")
)
ZONE = api("time_zone_for_geo", "geo", "Returns the IANA time zone of a city.", parameter("city"))
GEO = [DISTANCE, ZONE, api("geocode_for_geo", "geo", "Find the latitude and longitude of a city.", parameter("city"))]
LOAN = api(
    "loan_for_finance",
    "finance",
    "Computes the monthly payment of a loan.",
    parameter("principal", "number"),
    parameter("annual_rate", "number"),
    parameter("years", "integer"),
)
CONVERT = api(
    "convert_for_units",
    "units",
    "Convert a value from one unit to another.",
    parameter("value", "number"),
    parameter("from_unit", enum=["km", "mile"]),
    parameter("to_unit", enum=["km", "mile"]),
)
MEAN = api("mean_for_stats", "stats", "Mean of a list of numbers.", parameter("values", default="3,5,10"))
PLANET = api(
    "facts_for_sky", "sky", "Facts about a planet: mass, radius.", parameter("name", description="Name of the planet")
)
TRIANGLE = api(
    "triangle_for_shapes",
    "shapes",
    "Area and angles of a triangle from the lengths of its three sides.",
    *(parameter(name, "number", "Length of a side", default=3 + place) for place, name in enumerate("abc")),
)
SPAN = api(
    "count_for_days",
    "days",
    "Count the days between two dates.",
    parameter("start", description="First day, as YYYY-MM-DD", default="2025-05-01"),
    parameter("end", description="Last day, as YYYY-MM-DD", default="2025-05-31"),
)
LINE = api(
    "fit_for_lines",
    "lines",
    "Fit a line to points.",
    parameter("xs", description="Values of x, separated by commas", default="1,2,3"),
    parameter("ys", description="Values of y, separated by commas", default="2,4,6"),
)
UNITS = api(
    "convert_for_measures",
    "measures",
    "Convert a quantity from one unit to another.",
    parameter("value", "number", "The number to convert", default=26.2),
    parameter("from_unit", description="Unit to convert from", default="mile"),
    parameter("to_unit", description="Unit to convert to", default="km"),
)
FULL_MOON = api(
    "moon_for_sky",
    "sky",
    "The date of the full moon, with the time of day in a zone, which is not the same as that of the waning crescent.",
    parameter("date", description="The date, as YYYY-MM-DD", default="2025-06-21"),
)


def ask(
    apis: list[dict[str, Any]], count: int = 8, seed: int = 1, faults: Faults | None = None
) -> list[dict[str, Any]]:
    block = json.dumps({"apis": apis, "count": count}, indent=1)
    examples = json.dumps({"examples": [{"instruction": "An example.", "relevant_apis": ["x"]}]})
    request = {
        "model": "any",
        "seed": seed,
        "messages": [
            {"role": "system", "content": "Write."},
            {"role": "user", "content": f"Documents:\n```json\n{block}\n```\nLike:\n```json\n{examples}\n```"},
        ],
        "response_format": {"type": "json_schema", "json_schema": {"name": "instructions", "schema": SCHEMA}},
    }
    content = complete(request, faults)["choices"][0]["message"]["content"]
    rows: list[dict[str, Any]] = json.loads(content)["instructions"]
    return rows


def test_single_tool_instructions_are_distinct_and_use_one_to_three_of_the_given_apis() -> None:
    rows = ask(GEO, count=10)
    assert len({row["instruction"] for row in rows}) == 10
    assert all(1 <= len(row["relevant_apis"]) <= 3 for row in rows)
    assert {name for row in rows for name in row["relevant_apis"]} == {item["name"] for item in GEO}


def test_several_tools_give_instructions_that_need_two() -> None:
    tools = {item["name"]: item["tool"] for item in [*GEO, LOAN, CONVERT]}
    for seed in range(20):
        for row in ask([*GEO, LOAN, CONVERT], count=5, seed=seed):
            assert len({tools[name] for name in row["relevant_apis"]}) >= 2


def test_subsets_differ_while_there_are_enough() -> None:
    rows = ask([*GEO, LOAN, CONVERT, MEAN], count=6)
    assert len({frozenset(row["relevant_apis"]) for row in rows}) == 6


def test_every_required_value_stands_in_the_text() -> None:
    from random import Random

    for seed in range(30):
        for draft in instructions({"apis": [*GEO, LOAN, CONVERT, MEAN], "count": 4}, Random(seed)):
            for name, values in draft.values.items():
                wanted = next(item for item in [*GEO, LOAN, CONVERT, MEAN] if item["name"] == name)
                assert {p["name"] for p in wanted["parameters"]} <= set(values)
                for value in values.values():
                    said = written(value, "numbers" if name == MEAN["name"] else "enum")
                    assert said.strip('"') in draft.instruction


@pytest.mark.parametrize("seed", range(10))
def test_function_names_stay_out_unless_leaks_are_asked_for(seed: int) -> None:
    tricky = api("get_rate_for_bank", "bank", "The get_rate_for_bank call returns a rate.", parameter("currency"))
    names = [item["name"] for item in [*GEO, tricky]]
    assert not any(name in row["instruction"] for row in ask([*GEO, tricky], seed=seed) for name in names)
    leaking = ask([*GEO, tricky], seed=seed, faults=Faults(leak_rate=1))
    assert all(any(name in row["instruction"] for name in row["relevant_apis"]) for row in leaking)


def test_hallucinated_apis_only_if_asked_for() -> None:
    names = {item["name"] for item in GEO}
    assert all(set(row["relevant_apis"]) <= names for row in ask(GEO))
    assert not any(set(row["relevant_apis"]) <= names for row in ask(GEO, faults=Faults(hallucination_rate=1)))


def test_another_seed_gives_other_instructions_and_the_same_seed_the_same() -> None:
    assert ask(GEO, seed=1) == ask(GEO, seed=1)
    assert ask(GEO, seed=1) != ask(GEO, seed=2)


def test_documents_of_a_marketplace_do_no_harm() -> None:
    rows = ask(
        [
            api("x_for_y", "y", "<b>GET</b> https://x.y {id}", parameter("id", default="REDACTED")),
            api("empty_for_y", "y", "", parameter("opts", "object"), parameter("list", "ARRAY"), {"name": None}),
            {"name": 3},
        ]
    )
    assert len(rows) == 8
    assert not any("<" in row["instruction"] or "REDACTED" in row["instruction"] for row in rows)


def test_nothing_comes_of_no_documents() -> None:
    assert ask([]) == []


def test_instructions_for_the_same_apis_hardly_share_words_in_a_row() -> None:
    runs: list[set[tuple[str, ...]]] = []
    for seed in range(6):
        for row in ask([*GEO, LOAN, MEAN, PLANET], count=10, seed=seed):
            words = re.findall(r"\w+", row["instruction"].lower())
            runs.append({tuple(words[at : at + 13]) for at in range(len(words) - 12)})
    alike = sum(any(one & other for other in runs[:at]) for at, one in enumerate(runs))
    assert alike < len(runs) / 4


def test_values_that_belong_together_do() -> None:
    from random import Random

    for seed in range(40):
        for draft in instructions({"apis": [TRIANGLE, SPAN, LINE, UNITS], "count": 4}, Random(seed)):
            for name, values in draft.values.items():
                if name == TRIANGLE["name"]:
                    sides = sorted(values.values())
                    assert sides[2] < sides[0] + sides[1]
                elif name == SPAN["name"]:
                    assert values["start"] <= values["end"]
                elif name == LINE["name"]:
                    assert values["xs"].count(",") == values["ys"].count(",")
                else:
                    assert {values["from_unit"], values["to_unit"]} != {"mile", "kg"}
                    assert values["from_unit"] != values["to_unit"]


@pytest.mark.parametrize(
    ("wanted", "low", "high"),
    [
        (parameter("percent", "number", "Which percentile, 0 to 100", default=90), 0, 100),
        (parameter("minutes", "integer", "Minutes of arc", default=42), 0, 59),
        (parameter("share", "number", "Share of the second, 0 to 1", default=0.25), 0, 1),
        (parameter("weight", "number", "Weight", default=70), 28, 91),
    ],
)
def test_made_numbers_keep_to_what_the_description_says(wanted: dict[str, Any], low: float, high: float) -> None:
    from random import Random

    for seed in range(50):
        draft = instructions({"apis": [api("x_for_y", "y", "The weight of it.", wanted)], "count": 1}, Random(seed))[0]
        assert low <= draft.values["x_for_y"][wanted["name"]] <= high


def test_a_long_description_is_asked_for_in_few_words() -> None:
    for seed in range(20):
        for row in ask([FULL_MOON], count=2, seed=seed):
            assert "full moon" in row["instruction"]
            assert "crescent" not in row["instruction"]
