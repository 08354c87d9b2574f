"""One hub for all tests of the room, and its APIs with the arguments their documents give as examples."""

from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient

from toolbench.demo import create_app, documents


@dataclass(frozen=True)
class Operation:
    """One API of the hub, ready to be called with its documented examples."""

    id: str
    tool: str
    method: str
    url: str
    query: dict[str, Any]
    body: Any
    parameters: dict[str, dict[str, Any]]
    """Schemas of the query parameters."""
    schema: dict[str, Any]
    """Schema of a good answer."""
    description: str


def _example(schema: dict[str, Any]) -> Any:
    return {name: spec["examples"][0] for name, spec in schema["properties"].items() if "examples" in spec}


def operations() -> list[Operation]:
    """Every API of the hub, from its documents alone."""
    found = []
    for document in documents():
        base = document["servers"][0]["url"].removeprefix("http://hub.toolbench.test")
        schemas = document["components"]["schemas"]
        for path, item in document["paths"].items():
            for method, op in item.items():
                given = {p["name"]: p["example"] for p in op.get("parameters", []) if "example" in p}
                in_path = {p["name"] for p in op.get("parameters", []) if p["in"] == "path"}
                url = base + path.format(**given)
                body = op.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
                answer = op["responses"]["200"]["content"]["application/json"]["schema"]
                found.append(
                    Operation(
                        id=op["operationId"],
                        tool=document["info"]["title"],
                        method=method,
                        url=url,
                        query={k: v for k, v in given.items() if k not in in_path},
                        body=_example(schemas[body["$ref"].split("/")[-1]]) if body else None,
                        parameters={p["name"]: p["schema"] for p in op.get("parameters", []) if p["in"] == "query"},
                        schema=answer | {"components": {"schemas": schemas}},
                        description=op["description"],
                    )
                )
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `operation` runs once for each API."""
    if "operation" in metafunc.fixturenames:
        metafunc.parametrize("operation", operations(), ids=lambda op: op.id)


@pytest.fixture(scope="session")
def honest() -> TestClient:
    """A hub in which every API behaves."""
    return TestClient(create_app(delays=False, misbehave=False))


@pytest.fixture(scope="session")
def frail() -> TestClient:
    """The same, with an exception inside it answered by status 500 as a server would."""
    return TestClient(create_app(delays=False, misbehave=False), raise_server_exceptions=False)


@pytest.fixture
def hub() -> TestClient:
    """The hub as it is served, without the delays."""
    return TestClient(create_app(delays=False))


@pytest.fixture(scope="session")
def operations_by_id() -> dict[str, Operation]:
    """Every API by its operation id."""
    return {operation.id: operation for operation in operations()}
