"""The hub's OpenAPI documents: enough tools, APIs, categories and collections, each described for use."""

import subprocess
import sys
from collections import Counter, defaultdict

import pytest
from fastapi.testclient import TestClient

from toolbench.demo import HOST, MISBEHAVING, documents

# Folder names of ToolBench's catalogue that the hub uses.
CATEGORIES = {
    *("Data", "Education", "Events", "Finance", "Location", "Mapping"),
    *("Science", "Text_Analysis", "Tools", "Video_Images"),
}


@pytest.fixture(scope="module")
def published() -> list[dict]:
    return documents()


def _operations(document: dict) -> list[dict]:
    return [operation for item in document["paths"].values() for operation in item.values()]


def test_there_is_enough_to_sample_from(published: list[dict]) -> None:
    by_category = Counter(document["info"]["x-category"] for document in published)
    methods = Counter(method for document in published for item in document["paths"].values() for method in item)
    assert len(published) >= 24
    assert methods.total() >= 70
    assert methods["get"] >= 0.95 * methods.total()
    assert set(by_category) == CATEGORIES
    assert min(by_category.values()) >= 2


def test_collections_cross_categories(published: list[dict]) -> None:
    categories, tools = defaultdict(set), Counter()
    for document in published:
        for collection in document["info"]["x-collections"]:
            categories[collection].add(document["info"]["x-category"])
            tools[collection] += 1
    assert len(categories) >= 3
    assert all(len(found) >= 2 for found in categories.values())
    assert min(tools.values()) >= 4


def test_operation_ids_are_unique_and_no_tool_only_misbehaves(published: list[dict]) -> None:
    ids = Counter(operation["operationId"] for document in published for operation in _operations(document))
    assert set(ids.values()) == {1}
    assert MISBEHAVING.keys() <= ids.keys()
    for document in published:
        assert any(operation["operationId"] not in MISBEHAVING for operation in _operations(document))


def test_every_field_is_described(published: list[dict]) -> None:
    descriptions = Counter()
    for document in published:
        assert document["openapi"].startswith("3.1")
        assert document["servers"][0]["url"].startswith(f"http://{HOST}/")
        for operation in _operations(document):
            descriptions[operation["description"]] += 1
            assert len(operation["description"]) > 30
            for parameter in operation.get("parameters", []):
                assert parameter["description"], operation["operationId"]
                assert "example" in parameter or "default" in parameter["schema"], operation["operationId"]
        for name, schema in document["components"]["schemas"].items():
            if "ValidationError" not in name:  # FastAPI's own
                assert all("description" in field for field in schema["properties"].values()), name
    assert set(descriptions.values()) == {1}


def test_nothing_in_a_document_gives_misbehaviour_away(published: list[dict]) -> None:
    plain = {frozenset(op["responses"]) for d in published for op in _operations(d)}
    assert plain == {frozenset({"200", "400", "422"})}


def test_the_index_leads_to_every_document(hub: TestClient, published: list[dict]) -> None:
    listed = hub.get("/index.json").json()["openapi"]
    assert [hub.get(path).json() for path in listed] == published
    assert hub.get("/openapi/nothing.json").status_code == 404


def test_importing_the_room_loads_no_web_framework() -> None:
    code = "import sys, toolbench.demo; print(sorted({'fastapi', 'uvicorn', 'pint', 'holidays'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
