import asyncio
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from toolbench.apis.recorded import Recorded, load, status_of
from toolbench.errors import SourceError
from toolbench.records import Api, Response


def api(id_: str = "Weather/sun/rise") -> Api:
    return Api(
        id=id_, tool_id="", tool="", name="", category="", collections=[], description="", method="GET", url="",
        parameters=[], function="f", definition="{}", digest="",
    )  # fmt: skip


def folder(root: Path, calls: Any, name: str = "rise.json") -> Path:
    place = root / "cache" / "Weather" / "sun_for_Weather"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(calls if isinstance(calls, str) else json.dumps(calls), encoding="utf-8")
    return root / "cache"


def ask(source: Path | Recorded, arguments: dict[str, Any], id_: str = "Weather/sun/rise") -> Response | None:
    recorded = source if isinstance(source, Recorded) else load(str(source))
    return asyncio.run(recorded.call(api(id_), arguments))


GOOD = {"error": "", "response": {"at": "06:12"}}


@pytest.mark.parametrize(
    ("spelled", "arguments"),
    [
        ("{'a': 1, 'b': 'x'}", {"b": "x", "a": 1}),
        ("{'a': '5'}", {"a": 5}),
        ("{'a': 5}", {"a": 5.0}),
        ("{'a': True}", {"a": "True"}),
        ("{'a': 'true'}", {"a": True}),
        ("{'a': [1, (2,)]}", {"a": ["1", ["2"]]}),
        ("{}", {}),
        ('{"a": "é"}', {"a": "é"}),
    ],
)
def test_calls_are_found_by_value(tmp_path: Path, spelled: str, arguments: dict[str, Any]) -> None:
    source = folder(tmp_path, {spelled: GOOD})
    assert ask(source, arguments) == Response(response={"at": "06:12"}, source="recorded")
    assert ask(source, {**arguments, "more": 1}) is None
    assert ask(source, arguments, "Weather/sun/set") is None
    assert ask(source, arguments, "Finance/sun/rise") is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("", 0),
        ("Timeout error...", 5),
        ("API not working error...", 6),
        ("Unauthorized error...", 7),
        ("Unsubscribed error...", 8),
        ("Too many requests error...", 9),
        ("Rate limit per minute error...", 10),
        ("Message error...", 11),
        ("something new", 11),
    ],
)
def test_error_texts_become_codes(error: str, code: int, tmp_path: Path) -> None:
    assert status_of(error) == code
    response = ask(folder(tmp_path, {"{}": {"error": error, "response": ""}}), {})
    assert response is not None
    assert (response.status, response.error) == (code, error)


def test_what_is_not_in_the_layout_is_passed_over(tmp_path: Path) -> None:
    calls = {"{}": GOOD, "not a dict": GOOD, "[1]": GOOD, "{'a': 1}": "no envelope", "(" * 5000: GOOD, "f()": GOOD}
    folder(tmp_path, calls)
    for number, text in enumerate(("", "[]", "{", "[" * 100_000)):
        folder(tmp_path, text, f"bad{number}.json")
    (tmp_path / "cache" / "note.json").write_text("{}")
    assert len(load(str(tmp_path / "cache"))) == 1


def test_numbers_that_json_lacks_become_null(tmp_path: Path) -> None:
    source = folder(tmp_path, '{"{}": {"error": "", "response": {"a": NaN, "b": 1e999}}}')
    response = ask(source, {})
    assert response is not None
    assert response.response == {"a": None, "b": None}


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    one = load(str(folder(tmp_path / "one", {"{}": GOOD})))
    assert load(str(folder(tmp_path / "two", {"{}": GOOD}))).digest == one.digest
    assert load(str(folder(tmp_path / "three", {"{}": {"error": "", "response": 1}}))).digest != one.digest
    archive = tmp_path / "one.tar.gz"
    with tarfile.open(archive, "w:gz") as out:
        out.add(tmp_path / "one" / "cache", "cache")
    packed = load(str(archive))
    assert packed.digest == one.digest
    assert ask(packed, {}) == ask(one, {})


def _cut_in_the_middle(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def _damaged_in_the_middle(whole: bytes) -> bytes:
    at = len(whole) // 2
    return whole[:at] + bytes(200) + whole[at + 200 :]


@pytest.mark.parametrize("damage", [_cut_in_the_middle, _damaged_in_the_middle, lambda _: b"text", lambda _: b""])
def test_a_bad_tarball_is_a_source_error(tmp_path: Path, damage: Any) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as out:
        for number in range(40):
            data = json.dumps({"{}": {"error": "", "response": [hash((number, i)) for i in range(300)]}}).encode()
            member = tarfile.TarInfo(f"cache/Weather/sun_for_Weather/api{number}.json")
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(damage(buffer.getvalue()))
    with pytest.raises(SourceError, match=r"bad\.tar\.gz"):
        load(str(path))


def test_a_missing_or_empty_source_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        load(str(tmp_path / "nothing"))
    with pytest.raises(SourceError, match="holds no responses"):
        load(str(tmp_path))


def test_the_real_cache_loads(data_dir: Path) -> None:
    source = data_dir / "tool_response_cache.tar.gz"
    recorded = load(str(source))
    assert len(recorded._answers) == 1474
    raw = 0
    with tarfile.open(source) as archive:
        for member in archive:
            if member.name.endswith(".json"):
                file = archive.extractfile(member)
                raw += len(json.loads(file.read())) if file else 0
    # 228 calls are spelled differently from another with the same arguments, 3 have arguments that are no literal.
    assert (raw, len(recorded)) == (11410, 11410 - 228 - 3)
    statuses = {status_of(error) for calls in recorded._answers.values() for error, _ in calls.values()}
    assert statuses == {0, 11}  # the crawl's errors carry the services' own texts
