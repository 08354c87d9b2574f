"""`read` tells formats apart, in any mixture and in any notation."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from toolbench.catalogue import Holdout, read
from toolbench.catalogue.locators import stem
from toolbench.errors import SourceError

TOOL = {"name": "now", "inputSchema": {"type": "object", "properties": {"zone": {"type": "string"}}}}
COLLECTION = {
    "info": {"name": "Shop", "_postman_id": "1"},
    "item": [{"name": "One", "request": "https://shop.example/one"}],
}
YAML_LIST = "server: Clock\ncategory: Time\ntools:\n- name: now\n  inputSchema: {type: object}\n"


@pytest.fixture
def mixture(tool_document: dict[str, Any], openapi_document: dict[str, Any]) -> dict[str, str]:
    """One document of every format, by file name."""
    return {
        "Weather/sky.json": json.dumps(tool_document),
        "harbour.json": json.dumps(openapi_document),
        "shop.postman_collection.json": json.dumps(COLLECTION),
        "wrapped.json": json.dumps({"collection": COLLECTION | {"info": {"name": "Kiosk", "_postman_id": "2"}}}),
        "list.json": json.dumps({"server": "Desk", "category": "Weather", "tools": [TOOL]}),
        "reply.json": json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": [TOOL]}}),
        "bare.json": json.dumps([TOOL]),
        "clock.yaml": YAML_LIST,
        "neither.json": json.dumps({"tools": "saw", "item": 1}),
    }


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_or_tarball_of_every_format_is_read(packed: bool, mixture: dict[str, str], tmp_path: Path) -> None:
    source = tmp_path / ("all.tar.gz" if packed else "all")
    if packed:
        with tarfile.open(source, "w:gz") as archive:
            for name, text in mixture.items():
                info = tarfile.TarInfo(name)
                info.size = len(text.encode())
                archive.addfile(info, io.BytesIO(text.encode()))
    else:
        for name, text in mixture.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text, encoding="utf-8")
    catalogue = read(str(source), category="Other", holdout=Holdout())
    found = {(t.origin, t.name, t.category) for t in catalogue.tools}
    assert found == {
        ("toolenv", "Sky Watch", "Weather"),
        ("openapi", "Harbour", "Travel"),
        ("postman", "Shop", "Other"),
        ("postman", "Kiosk", "Other"),
        ("mcp", "Desk", "Weather"),
        ("mcp", "reply", "Other"),
        ("mcp", "bare", "Other"),
        ("mcp", "Clock", "Time"),
    }
    assert [r.reason for r in catalogue.rejects] == ["unknown_format"]
    assert catalogue.taken_in == len(catalogue.apis) + len(catalogue.rejects)


def test_a_document_of_no_format_is_told_what_formats_there_are(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"tools": "saw"}')
    with pytest.raises(SourceError, match=r"Postman collection 2, MCP tools/list"):
        read(str(tmp_path / "x.json"), holdout=Holdout())


@pytest.mark.parametrize(
    ("locator", "expected"),
    [
        ("a/weather.json", "weather"),
        ("Shop.postman_collection.json", "Shop"),
        ("https://h.example/lists/x.yml", "x"),
        ("https://h.example/mcp/", "mcp"),
        (".json", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_a_document_is_named_by_where_it_lies(locator: str, expected: str) -> None:
    assert stem(locator) == expected
