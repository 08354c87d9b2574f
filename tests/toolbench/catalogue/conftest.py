"""Small documents, and the real data where it is there."""

import os
from pathlib import Path
from typing import Any

import pytest

_REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; skips where there is none."""
    folder = Path(os.environ.get("TOOLBENCH_TEST_DATA") or _REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no real data: set TOOLBENCH_TEST_DATA")
    return folder


@pytest.fixture(autouse=True)
def _by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Categories are inferred by words alone: loading an encoder takes ten seconds."""
    monkeypatch.setattr("toolbench.catalogue.infer.installed", lambda: False)


@pytest.fixture
def tool_document() -> dict[str, Any]:
    """A toolenv document with two APIs."""
    return {
        "tool_name": "Sky Watch",
        "tool_description": "Forecasts &amp; <b>alerts</b> for sailors",
        "title": "Sky Watch",
        "host": "sky.example.org",
        "api_list": [
            {
                "name": "Forecast",
                "url": "https://sky.example.org/forecast/{City}",
                "description": "The forecast of a city.<br>Up to 5 days",
                "method": "GET",
                "required_parameters": [
                    {"name": "city", "type": "STRING", "description": "", "default": "Oslo"},
                    {"name": "days", "type": "NUMBER", "description": "How many", "default": "3"},
                    {"name": "apikey", "type": "STRING", "description": "", "default": "k"},
                ],
                "optional_parameters": [
                    {"name": "metric", "type": "BOOLEAN", "description": "", "default": "true"},
                    {"name": "fields", "type": "ARRAY", "description": "", "default": "wind,rain"},
                    {"name": "who", "type": "CREDENTIALS", "description": "", "default": ""},
                    {"name": "odd", "type": None, "description": "", "default": None},
                ],
                "body": {"wind": 3},
                "schema": {"type": "object", "properties": {"wind": {"type": "number"}}},
            },
            {
                "name": "Report",
                "url": "https://sky.example.org/report",
                "description": "",
                "method": "POST",
                "required_parameters": [{"name": "from", "type": "DATE", "description": "", "default": ""}],
                "optional_parameters": [{"name": "filter", "type": "MAP", "description": "", "default": '{"a": 1}'}],
                "schema": "",
            },
        ],
    }


@pytest.fixture
def openapi_document() -> dict[str, Any]:
    """An OpenAPI 3.1 document with references, a cycle, a body, credentials and server variables."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Harbour", "x-category": "Travel", "x-collections": ["sea", "north"], "description": "Ports"},
        "servers": [{"url": "https://{region}.example.org/v1", "variables": {"region": {"default": "eu"}}}],
        "security": [{"key": []}],
        "paths": {
            "/ports/{port}": {
                "parameters": [{"$ref": "#/components/parameters/Port"}],
                "get": {
                    "operationId": "getPortByName",
                    "summary": "One port",
                    "description": "Everything known about it.",
                    "parameters": [
                        {"name": "unit", "in": "query", "schema": {"type": "string", "enum": ["km", "nm"]}},
                        {
                            "name": "X-Trace",
                            "in": "header",
                            "schema": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
                        },
                    ],
                    "responses": {
                        "200": {
                            "content": {
                                "application/json": {
                                    "schema": {"$ref": "#/components/schemas/Port"},
                                    "example": {"name": "Oslo"},
                                }
                            }
                        }
                    },
                },
                "post": {
                    "requestBody": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Port"}}},
                    },
                    "responses": {},
                },
            }
        },
        "components": {
            "parameters": {"Port": {"name": "port", "in": "path", "required": True, "schema": {"type": "string"}}},
            "securitySchemes": {"key": {"type": "apiKey", "name": "X-Harbour", "in": "header"}},
            "schemas": {
                "Port": {
                    "allOf": [
                        {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
                        {
                            "properties": {
                                "twin": {"$ref": "#/components/schemas/Port"},
                                "depth": {"type": ["null", "number"]},
                            }
                        },
                    ]
                }
            },
        },
    }
