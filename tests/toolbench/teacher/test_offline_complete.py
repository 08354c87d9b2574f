"""The completion object: determinism, the forms of replies the rules do not know, and requests that are none."""

import json
from typing import Any

import jsonschema
import pytest

from toolbench.teacher.offline import MODEL, BadRequestError, Faults, complete

HELLO = [{"role": "user", "content": "Hello, who are you?"}]


def test_equal_requests_give_equal_bytes_and_streaming_does_not_matter() -> None:
    request = {"model": "x", "messages": HELLO, "seed": 7}
    first = json.dumps(complete(request))
    assert json.dumps(complete({**request, "stream": True, "stream_options": {"include_usage": True}})) == first
    assert json.dumps(complete(request, attempt=3)) == first
    assert complete({**request, "seed": 8})["id"] != complete(request)["id"]


def test_the_object_says_what_it_is() -> None:
    told = complete({"model": "gpt-x", "messages": HELLO})
    assert (told["model"], told["created"], told["object"]) == (MODEL, 0, "chat.completion")
    usage = told["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert usage["completion_tokens"] == len(told["choices"][0]["message"]["content"]) // 4


SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 4}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "string"}}, "minProperties": 1, "additionalProperties": False},
    {"type": "array", "items": {"enum": ["x", "y", "z"]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "null"}, {"const": 5}], "items": {"type": "boolean"}, "minItems": 3},
    {"anyOf": [{"type": "integer", "exclusiveMinimum": 10, "multipleOf": 7}, {"type": "null"}]},
    {"type": "number", "exclusiveMaximum": 0, "multipleOf": 0.5},
    {"type": "integer", "exclusiveMaximum": 10},
    {"type": ["string", "null"], "minLength": 40, "maxLength": 41},
    {"type": "string", "format": "date-time"},
    {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"required": ["b"]}], "type": "object"},
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                    "n": {"type": "number"},
                },
                "required": ["next", "n"],
            }
        },
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_any_schema_gets_a_valid_instance(schema: dict[str, Any]) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}
    for seed in range(5):
        content = complete({"messages": HELLO, "response_format": form, "seed": seed})["choices"][0]["message"][
            "content"
        ]
        jsonschema.validate(json.loads(content), schema)


def test_a_json_object_is_one() -> None:
    form = {"type": "json_object"}
    assert complete({"messages": HELLO, "response_format": form})["choices"][0]["message"]["content"] == "{}"


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"messages": []},
        {"messages": "hello"},
        {"messages": [{"content": "no role"}]},
        {"messages": [{"role": "assistant", "tool_calls": ["x"]}]},
        {"messages": HELLO, "tools": [{"type": "function"}]},
        {"messages": HELLO, "n": 2},
        {
            "messages": HELLO,
            "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object", "required": 3}}},
        },
        {"messages": HELLO, "temperature": float("nan")},
    ],
)
def test_what_is_no_request_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        complete(request_)


def test_faults_strike_by_digest_and_attempt() -> None:
    faults = Faults(refusal_rate=0.5)

    def refused(seed: int, attempt: int) -> bool:
        message = complete({"messages": HELLO, "seed": seed}, faults, attempt)["choices"][0]["message"]
        return message["refusal"] is not None

    first = [refused(seed, 0) for seed in range(60)]
    assert first == [refused(seed, 0) for seed in range(60)]
    assert 15 < sum(first) < 45
    assert any(was and not refused(seed, 1) for seed, was in enumerate(first))


def test_malformed_content_is_no_json() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMAS[0]}}
    told = complete({"messages": HELLO, "response_format": form}, Faults(malformed_rate=1))
    with pytest.raises(json.JSONDecodeError):
        json.loads(told["choices"][0]["message"]["content"])
