"""The real crawl, the real OpenAPI documents, the real instructions."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import jsonschema
import pytest

from toolbench.catalogue import Catalogue, Holdout, Lookup, apis_of_instructions, read

HOLDOUT = Holdout(tool_share=0.05, salt="test")


@pytest.fixture(scope="module")
def crawl(real_data: Path) -> Catalogue:
    return read(str(real_data / "toolenv.tar.gz"), holdout=HOLDOUT)


def test_the_whole_crawl(crawl: Catalogue) -> None:
    assert crawl.taken_in == 46_908 == len(crawl.apis) + len(crawl.rejects)
    assert {r.reason for r in crawl.rejects} == {"duplicate"}
    files = {t.id for t in crawl.tools}
    assert len(files) == len(crawl.tools) > 10_500
    assert len({t.category for t in crawl.tools}) == 49
    assert len({a.id for a in crawl.apis}) == len(crawl.apis)
    assert len({a.function for a in crawl.apis}) == len(crawl.apis)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", a.function) for a in crawl.apis)
    assert {a.tool_id for a in crawl.apis} == files
    assert any(
        a.function == "get_20_ad_descriptions_generator_for_adcopy_ai_google_ads_ai_text_generation"[-64:]
        for a in crawl.apis
    )
    assert 0.04 < sum(t.split == "tool" for t in crawl.tools) / len(crawl.tools) < 0.06


def test_definitions_of_the_crawl(crawl: Catalogue) -> None:
    for api in crawl.apis[::7]:
        definition = json.loads(api.definition)
        jsonschema.Draft202012Validator.check_schema(definition["parameters"])
        shown = {p.shown_as for p in api.parameters if not p.secret}
        assert set(definition["parameters"]["properties"]) == shown
        for schema in definition["parameters"]["properties"].values():
            assert len(schema.get("description", "")) <= 256
            jsonschema.validate(schema.get("examples", [None])[0], schema) if "examples" in schema else None


def test_collections_of_the_crawl(crawl: Catalogue) -> None:
    sizes: Counter[str] = Counter()
    categories = defaultdict(set)
    for tool in crawl.tools:
        assert len(tool.collections) <= 2
        for name in tool.collections:
            sizes[name] += 1
            categories[name].add(tool.category)
    assert len(sizes) > 200
    assert 5 <= min(sizes.values()) <= max(sizes.values()) <= 50
    assert all((len(c) == 1) == name.endswith(")") for name, c in categories.items())


def test_a_category_of_the_crawl_reads_as_it_does_in_the_whole(crawl: Catalogue, real_data: Path) -> None:
    weather = read(str(real_data / "toolenv.tar.gz"), categories=["Weather"], holdout=HOLDOUT)
    whole = [(a.id, a.function, a.digest, a.split) for a in crawl.apis if a.category == "Weather"]
    assert [(a.id, a.function, a.digest, a.split) for a in weather.apis] == whole
    assert weather.taken_in == len(whole) + sum(r.category == "Weather" for r in crawl.rejects)


def test_openapi_documents(real_data: Path) -> None:
    catalogue = read(str(real_data / "openapi"), holdout=HOLDOUT)
    assert len(catalogue.tools) == 39
    assert catalogue.taken_in == len(catalogue.apis) + len(catalogue.rejects)
    (broken,) = [r for r in catalogue.rejects if r.reason == "invalid_json"]
    assert "line 1022 column 24" in broken.detail
    assert {r.reason for r in catalogue.rejects} == {"external_reference", "invalid_json", "unsupported_body"}
    for api in catalogue.apis:
        jsonschema.Draft202012Validator.check_schema(json.loads(api.definition)["parameters"])
        jsonschema.Draft202012Validator.check_schema(json.loads(api.response_schema or "{}"))
        assert "$ref" not in api.definition
    assert read(str(real_data / "openapi"), holdout=HOLDOUT) == catalogue


def test_real_instructions_match_the_crawl_after_standardising(crawl: Catalogue, real_data: Path) -> None:
    lookup = Lookup(crawl.apis)
    found = []
    for path in sorted((real_data / "test_instruction").glob("*.json")):
        catalogue = apis_of_instructions(json.loads(path.read_text(encoding="utf-8")))
        assert catalogue.rejects == []
        assert read(str(path), holdout=Holdout()).apis == catalogue.apis
        found += [lookup.find(a.category, a.tool, a.name) is not None for a in catalogue.apis]
    assert sum(found) / len(found) > 0.95
