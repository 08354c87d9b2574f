"""The published documents, counted independently; a sample of the crawl's definitions, by jsonschema itself."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from toolbench.catalogue import Catalogue, Holdout, read

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def documents(data_dir: Path) -> dict[str, Any]:
    """File name → document, of those that are JSON."""
    found = {}
    for path in sorted((data_dir / "openapi").glob("*.json")):
        try:
            found[path.name] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
    return found


@pytest.fixture(scope="module")
def published(data_dir: Path) -> Catalogue:
    return read(str(data_dir / "openapi"), holdout=Holdout())


def test_every_operation_of_every_valid_document_is_an_api_or_a_reject(data_dir: Path, published: Catalogue) -> None:
    found = documents(data_dir)
    assert len(found) == 39
    assert len(published.tools) == 39
    total = 0
    for name, document in found.items():
        listed = sum(m in item for item in document["paths"].values() for m in METHODS)
        alone = read(str(data_dir / "openapi" / name), holdout=Holdout())
        assert len(alone.apis) + len(alone.rejects) == alone.taken_in == listed, name
        assert alone.apis, name
        total += listed
    (unread,) = [r for r in published.rejects if r.reason == "invalid_json"]
    assert "line 1022 column 24" in unread.detail
    assert published.taken_in == total + 1 == len(published.apis) + len(published.rejects)


def test_what_of_the_published_documents_lies_in_other_files_is_told(published: Catalogue) -> None:
    reasons = Counter((r.reason, r.record_id.split(".")[0]) for r in published.rejects)
    assert reasons["external_reference", "digitalocean"] == 204
    assert reasons["external_reference", "azure"] == 3
    assert set(reasons) == {
        ("external_reference", "digitalocean"), ("external_reference", "azure"), ("invalid_json", "bkk"),
        ("unsupported_body", "6-dot-authentiqio"),
    }  # fmt: skip
    told = [a for a in published.apis if "Parameters may be missing" in a.description]
    assert {(a.tool, a.method) for a in told} == {("DigitalOcean API", "GET"), ("NetworkManagementClient", "GET")}
    assert len(told) == 221 + 3


def test_every_definition_of_the_published_documents_is_valid(published: Catalogue) -> None:
    for api in published.apis:
        parameters = json.loads(api.definition)["parameters"]
        jsonschema.Draft202012Validator.check_schema(parameters)
        jsonschema.Draft202012Validator.check_schema(json.loads(api.response_schema or "{}"))
        shown = {p.shown_as: p for p in api.parameters if not p.secret}
        assert set(parameters["properties"]) == set(shown)
        for name, schema in parameters["properties"].items():
            assert schema["type"] == shown[name].type
            # Types only: a published example may well be older than the bounds beside it.
            for example in schema.get("examples", []):
                jsonschema.validate(
                    example, {"type": schema["type"], **{k: schema[k] for k in ("enum",) if k in schema}}
                )


def test_what_the_published_documents_say_of_bodies_tags_and_credentials(published: Catalogue) -> None:
    locations = Counter(p.location for a in published.apis for p in a.parameters)
    assert min(locations[place] for place in ("query", "path", "header", "body", "form", "multipart")) > 0
    assert sum(bool(a.tags) for a in published.apis) > 300
    assert any(a.deprecated for a in published.apis)
    named = {p.name for a in published.apis if a.tool.startswith("Cenit") for p in a.parameters if p.secret}
    assert named >= {"X-User-Access-Key", "X-User-Access-Token"}
    assert sum(a.response_schema is not None for a in published.apis) > 250


def test_a_sample_of_the_crawl_s_definitions_is_valid(data_dir: Path) -> None:
    crawl = read(str(data_dir / "toolenv.tar.gz"), holdout=Holdout())
    assert crawl.taken_in == 46_908
    assert not [r for r in crawl.rejects if r.reason == "invalid_definition"]
    for api in random.Random(7).sample(crawl.apis, 300):
        definition = json.loads(api.definition)
        jsonschema.Draft202012Validator.check_schema(definition["parameters"])
        assert api.function == definition["name"]
