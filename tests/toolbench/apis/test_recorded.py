import asyncio
import dataclasses
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from workshop import publish

from toolbench.apis.recorded import Recorded, load
from toolbench.apis.wording import status_of
from toolbench.errors import SourceError
from toolbench.lake import Lake, Spec
from toolbench.records import Api, ApiCall, Parameter, Response


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


@pytest.mark.parametrize("id_", ["Weather/sun/rise-1a2b3c4d", "Weather/sun-00000000/rise", "Weather/sun-1/rise-2"])
def test_namesakes_share_what_was_recorded(tmp_path: Path, id_: str) -> None:
    source = folder(tmp_path, {"{'a': 1}": GOOD})
    hashed = "-1a2b3c4d" in id_ or "-00000000" in id_
    assert (ask(source, {"a": 1}, id_) is not None) == hashed


def test_a_name_that_python_cannot_use_is_found_under_its_safe_one(tmp_path: Path) -> None:
    source = folder(tmp_path, {"{}": GOOD}, "is_from.json")
    assert ask(source, {}, "Weather/sun/from") is not None
    assert ask(source, {}, "Weather/sun/is_from") is not None
    assert ask(source, {}, "Weather/sun/form") is None


def test_parameters_go_by_any_of_their_names(tmp_path: Path) -> None:
    parameters = [
        Parameter(name="Page Size", shown_as="page_size", type="integer", required=False),
        Parameter(name="filter[]", shown_as="filter-1a2b3c4d", type="string", required=False),
        Parameter(name="from", shown_as="is_from", type="string", required=False),
    ]
    what = dataclasses.replace(api(), parameters=parameters)
    shown = {"page_size": 5, "filter-1a2b3c4d": "x", "is_from": "y"}
    wire = {"Page Size": "5", "filter[]": "x", "from": "y"}
    for number, spelled in enumerate(({"page_size": 5, "filter": "x", "is_from": "y"}, wire)):
        recorded = load(str(folder(tmp_path / str(number), {str(spelled): GOOD})))
        for arguments in (shown, wire, spelled):
            assert asyncio.run(recorded.call(what, arguments)) is not None


def test_examples_are_all_calls_in_the_order_of_the_file(tmp_path: Path) -> None:
    bad = {"error": "Unauthorized error...", "response": ""}
    calls = {"{'b': 1}": GOOD, "nonsense": GOOD, "{'a': (1, b'x', 1e999)}": bad, "{'b': '1'}": GOOD}
    recorded = load(str(folder(tmp_path, calls)))
    good = Response(response={"at": "06:12"}, source="recorded")
    assert recorded.examples(api("Weather/sun/rise-1a2b3c4d")) == [
        ({"b": 1}, good),
        ({"a": [1, "b'x'", "inf"]}, Response(error="Unauthorized error...", status=7, source="recorded")),
        ({"b": "1"}, good),
    ]
    assert recorded.examples(api("Weather/sun/set")) == []


def journal(lake: Lake, *calls: ApiCall) -> str:
    lake.store.create("lake.json", b'{"format": 1, "id": "x"}')
    spec = Spec(stage="solutions", label="s", partition={"group": "I1"}, records=["r"], content=str(calls), params={})
    receipt = lake.finish(spec, {ApiCall: calls}, taken_in=len(calls), passed_on=len(calls))
    publish(lake, [receipt], ("api_calls",))
    return lake.uri


def made(arguments: str, response: str, **fields: Any) -> ApiCall:
    defaults: dict[str, Any] = {"status": 0, "source": "live", "error": "", "api_id": "Weather/sun/rise-1a2b3c4d"}
    rest = {"id": arguments + response, "solution_id": "s", "step": 1, "category": "Weather"}
    return ApiCall(**{**defaults, **rest, **fields}, arguments=arguments, response=response)


def test_our_own_calls_answer_again(lake: Lake) -> None:
    source = journal(
        lake,
        made('{"a":1}', '{"n": 1}'),
        made('{"b":1}', '""', status=6, error="HTTP 404"),
        made('{"b":2}', '""', status=6, error="HTTP 404"),
        made('{"b":2}', '"good"', source="server"),
        made('{"c":1}', '"made up"', source="simulated"),
        made('{"d":1}', '""', status=5, error="slow"),
        made('{"e":1}', "{"),
        made("[1]", "1"),
    )
    recorded = load(source)
    hashed = "Weather/sun/rise-1a2b3c4d"
    assert ask(recorded, {"a": "1"}, hashed) == Response(response={"n": 1}, source="recorded")
    assert ask(recorded, {"b": 1}, hashed) == Response(error="HTTP 404", status=6, source="recorded")
    assert ask(recorded, {"b": 2}, hashed) == Response(response="good", source="recorded")
    assert [ask(recorded, {name: 1}, hashed) for name in "cde"] == [None, None, None]
    assert ask(recorded, {"a": 1}, "Weather/sun/rise-99999999") is None, "another API of that name"
    assert len(recorded.examples(api(hashed))) == 4
    again = journal(lake, made('{"a":1}', '{"n": 2}'))
    assert load(again).digest != recorded.digest, "the newest snapshot counts"
    assert ask(load(again), {"a": 1}, hashed) == Response(response={"n": 2}, source="recorded")


def test_a_new_lake_has_no_answers_and_no_complaints(lake: Lake) -> None:
    assert lake.id
    assert ask(load(lake.uri), {}) is None


def test_a_lake_in_memory_counts_as_one() -> None:
    lake = Lake("memory://recorded-test")
    assert ask(load(journal(lake, made("{}", "1"))), {}, "Weather/sun/rise-1a2b3c4d") is not None
    with pytest.raises(SourceError, match="does not exist"):
        load("memory://nothing-there")


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
    statuses = {answer.status for calls in recorded._answers.values() for answer in calls.values()}
    assert statuses == {0, 11}  # the crawl's errors carry the services' own texts


def test_every_call_of_the_real_cache_is_found_again(data_dir: Path) -> None:
    recorded = load(str(data_dir / "tool_response_cache.tar.gz"))

    async def missed() -> list[Any]:
        return [
            (id_, arguments)
            for id_, calls in recorded._calls.items()
            for arguments, _ in calls
            if await recorded.call(api(f"{id_}-1a2b3c4d"), arguments) is None
        ]

    assert asyncio.run(missed()) == []
    assert sum(len(calls) for calls in recorded._calls.values()) == 11410 - 3
