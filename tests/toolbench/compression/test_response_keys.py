"""Keys of long responses: asked for once per API, by examples that are long, checked against what is there."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from workshop import Server, an_api, forget, journaled, settings_for, work_on, written

from toolbench import compression
from toolbench.apis.compress import compress, paths
from toolbench.errors import LakeError, SourceError, TransientError
from toolbench.lake import Draft, Lake, Receipt, Snapshot, Spec
from toolbench.records import Api, ApiCall, Parameter, Reject, ResponseKeys
from toolbench.settings import Settings

Start = Callable[..., Server]

PARTITION = {"source": "crawl", "category": "Weather"}


def long(field: str = "title", **more: Any) -> dict[str, Any]:
    """A response of about 1,500 tokens."""
    return {
        "items": [{"id": n, field: f"Word number {n}", "image": f"https://e.org/{n}.png"} for n in range(60)],
        **more,
    }


def placed(lake: Lake, *apis: Api, partition: Mapping[str, str] = PARTITION) -> Snapshot:
    """A snapshot in which a partition of the catalogue has these APIs."""
    spec = Spec(stage="catalogue", label="", partition=dict(partition), records=[], content="", params={})
    spec = spec.model_copy(update={"content": str([dataclasses.asdict(a) for a in apis])})
    draft = Draft()
    draft.add([lake.finish(spec, {Api: list(apis)}, taken_in=len(apis), passed_on=len(apis))], ("apis",))
    return lake.publish(draft, "test")


def called(lake: Lake, *calls: tuple[Api, int, Any], name: str = "one") -> Snapshot:
    """A snapshot in which searches made these calls: API, status, response."""
    rows = [
        ApiCall(
            id=f"{name}/{n}", solution_id="s", step=n, api_id=api.id, category=api.category, arguments="{}",
            status=status, source="live", error="", response=json.dumps(response),
        )
        for n, (api, status, response) in enumerate(calls)
    ]  # fmt: skip
    where = {"group": "I1", "category": "Weather"}
    spec = Spec(stage="solutions", label="", partition=where, records=[name], content=name, params={})
    draft = Draft()
    draft.add([lake.finish(spec, {ApiCall: rows}, taken_in=0, passed_on=0)], ("api_calls",))
    return lake.publish(draft, "test")


def recorded(folder: Path, api: Api, *responses: Any, error: str = "") -> str:
    """A folder of recorded responses with these of one API."""
    category, tool, name = api.id.split("/")
    path = folder / "cache" / category / f"{tool}_for_{category}" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    calls = {str({"city": f"c{n}"}): {"error": error, "response": r} for n, r in enumerate(responses)}
    path.write_text(json.dumps(calls), encoding="utf-8")
    return str(folder / "cache")


def settings_of(lake: Lake, url: str = "http://127.0.0.1:9", **sections: Any) -> Settings:
    more = {"max_tokens": 300, **sections.pop("compression", {})}
    return settings_for(lake, url, compression=more, **sections)


def planned(lake: Lake, view: Snapshot, settings: Settings) -> list[Spec]:
    return compression.plan(lake, view, settings, categories=["Weather"])


def named(lake: Lake, specs: list[Spec], settings: Settings) -> tuple[list[ResponseKeys], Snapshot]:
    """The rows of a stage worked on as a flow would, and the snapshot they are in."""
    for spec in specs:
        lake.put_spec(spec)
    worked = work_on(lake, specs, settings, compression.name_keys, compression.TABLES, "response_keys")
    return list(lake.rows(worked.view, ResponseKeys)), worked.view


def test_only_apis_with_long_responses_are_asked_about(lake: Lake, tmp_path: Path) -> None:
    apis = [an_api("Sky", name) for name in ("recorded", "documented", "called", "short", "failed", "text", "never")]
    by_name = {api.name: api for api in apis}
    apis[1] = dataclasses.replace(apis[1], response_example=json.dumps(long()))
    placed(lake, *apis)
    responses = recorded(tmp_path, by_name["recorded"], {"ok": 1}, long())
    recorded(tmp_path, by_name["text"], "plain words " * 900)
    recorded(tmp_path, by_name["failed"], long(), error="rate limit per minute exceeded")
    view = called(
        lake, (by_name["called"], 0, long()), (by_name["short"], 0, {"a": 1}), (by_name["failed"], 11, long())
    )
    (spec,) = planned(lake, view, settings_of(lake, catalogue={"responses": responses}))
    assert spec.records == sorted(by_name[name].id for name in ("recorded", "documented", "called"))
    assert (spec.stage, spec.partition, spec.size) == ("compression", PARTITION, 3)
    assert planned(lake, view, settings_of(lake, compression={"max_tokens": 10_000})) == []
    assert planned(lake, view, settings_of(lake, compression={"method": "truncate"})) == []


def test_examples_are_the_long_ones_each_once_shortened_and_no_more_than_asked_for(lake: Lake, tmp_path: Path) -> None:
    api = an_api("Sky", "news")
    view = placed(lake, api)
    kept = [json.dumps(long(page=n)) if n == 3 else long(page=n) for n in range(6)]  # JSON as text counts as JSON
    where = recorded(tmp_path, api, {"short": True}, kept[0], kept[0], *kept[1:])
    settings = settings_of(lake, catalogue={"responses": where}, compression={"examples": 4})
    (spec,) = planned(lake, view, settings)
    shown = spec.params["apis"][api.id]["examples"]
    assert shown == [compress(long(page=n), (), 1000) for n in range(4)]
    assert shown[3]["items"][-1].endswith("more items")


def test_the_shard_is_named_after_apis_examples_model_and_prompts_and_not_after_where_they_lie(
    lake: Lake, tmp_path: Path
) -> None:
    api = an_api("Sky", "news")
    view = placed(lake, api)
    where = {"catalogue": {"responses": recorded(tmp_path / "a", api, long())}}
    (spec,) = planned(lake, view, settings_of(lake, **where))
    again = {"catalogue": {"responses": recorded(tmp_path / "b", api, long())}}
    assert [s.digest for s in planned(lake, view, settings_of(lake, **again))] == [spec.digest]
    others = [
        planned(lake, view, settings_of(lake, teacher={"model": "another"}, **where)),
        planned(lake, view, settings_of(lake, catalogue={"responses": recorded(tmp_path / "c", api, long("name"))})),
        planned(lake, placed(lake, dataclasses.replace(api, digest="reworded")), settings_of(lake, **where)),
    ]
    assert len({spec.digest, *(s.digest for (s,) in others)}) == 4


def test_an_api_that_two_sources_carry_is_asked_about_once(lake: Lake) -> None:
    api = dataclasses.replace(an_api("Sky", "news"), response_example=json.dumps(long()))
    placed(lake, api)
    placed(lake, api, partition={"source": "another", "category": "Weather"})
    view = placed(lake, api, partition={"instructions": "file", "category": "Weather"})
    (spec,) = planned(lake, view, settings_of(lake))
    assert spec.partition == {"source": "another", "category": "Weather"}


def test_recorded_responses_that_are_not_there_are_said(lake: Lake) -> None:
    view = placed(lake, an_api("Sky", "news"))
    with pytest.raises(SourceError, match="does not exist"):
        planned(lake, view, settings_of(lake, catalogue={"responses": "/no/such/folder"}))


def test_the_offline_teacher_names_keys_that_are_there(lake: Lake, honest_teacher: Server) -> None:
    apis = [
        dataclasses.replace(an_api("Sky", name), response_example=json.dumps(long(name))) for name in ("title", "motto")
    ]
    view, settings = placed(lake, *apis), settings_of(lake, honest_teacher.url)
    honest_teacher.reset()
    rows, _ = named(lake, planned(lake, view, settings), settings)
    assert honest_teacher.asked() == 2
    assert [(r.id, r.category, r.examples, r.model) for r in rows] == [
        (api.id, "Weather", 1, "offline-teacher") for api in sorted(apis, key=lambda a: a.id)
    ]
    for row in rows:
        assert row.keys
        assert set(row.keys) <= set(paths(long(row.id.rpartition("/")[2])))
        assert row.input_tokens > 0 < row.output_tokens


def test_equal_to_the_byte_and_replayed_without_a_teacher(lake: Lake, honest_teacher: Server) -> None:
    apis = [dataclasses.replace(an_api("Sky", f"n{n}"), response_example=json.dumps(long(page=n))) for n in range(5)]
    view = placed(lake, *apis)
    (spec,) = planned(lake, view, settings_of(lake, honest_teacher.url))
    receipt(lake, spec, settings_of(lake, honest_teacher.url, teacher={"max_concurrency": 1}))
    before = written(lake)
    forget(lake, spec)
    receipt(lake, spec, settings_of(lake))  # nobody is there to be asked
    assert written(lake) == before


def receipt(lake: Lake, spec: Spec, settings: Settings) -> Receipt:
    found = asyncio.run(compression.name_keys(lake, spec, settings, lambda: None))
    found.check("response_keys")
    return found


class Scripted:
    """A teacher that gives these replies one after the other, and keeps what it was asked."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.asked = list(replies), []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            event = await receive()
            body += event["body"]
            if not event.get("more_body"):
                break
        self.asked.append(json.loads(body))
        message = {"role": "assistant", "content": self.replies.pop(0)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        answer = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps({**answer, "usage": usage}).encode()})


def asked_of(lake: Lake, *replies: str, api: Api | None = None) -> tuple[list[ResponseKeys], list[Reject], Scripted]:
    """What becomes of one API when the teacher says these things."""
    api = api or dataclasses.replace(an_api("Sky", "news"), response_example=json.dumps(long(tags=["a"], total=60)))
    teacher = Scripted(*replies)
    server = Server(teacher)
    settings = settings_of(lake, server.url)
    (spec,) = planned(lake, placed(lake, api), settings)
    found = receipt(lake, spec, settings)
    server.stop()
    rows = [found.tables[t] for t in ("response_keys",) if t in found.tables]
    rejects = [found.tables[t] for t in ("rejects",) if t in found.tables]
    return list(lake.read(rows, ResponseKeys)), list(lake.read(rejects, Reject)), teacher


def test_keys_that_no_example_has_are_dropped(lake: Lake) -> None:
    reply = '{"keys": ["items[].title", "items[].nope", "tags[]", "total", "items[].title", "…"]}'
    (row,), rejects, teacher = asked_of(lake, reply)
    assert row.keys == ["items[].title", "tags", "total"]
    assert (row.input_tokens, row.output_tokens, rejects, len(teacher.asked)) == (100, 10, [], 1)


def test_a_reply_that_cannot_be_used_is_repaired_once(lake: Lake) -> None:
    (row,), rejects, teacher = asked_of(lake, "The keys are title and total.", '```json\n{"keys": ["total"]}\n```')
    assert (row.keys, row.input_tokens, row.output_tokens, rejects) == (["total"], 200, 20, [])
    first, second = (request["messages"] for request in teacher.asked)
    assert second[: len(first)] == first
    assert "I could not use that: the reply is not valid JSON" in second[-1]["content"]
    assert teacher.asked[0]["temperature"] == 0
    assert teacher.asked[0]["response_format"]["json_schema"]["name"] == "keys"


@pytest.mark.parametrize(
    ("reply", "reason", "detail"),
    [
        ('{"keys": ["none", "of[].these"]}', "no_keys", "none of the keys is in a response"),
        ('{"keys": []}', "no_keys", "none of the keys"),
        ('{"keys": "total"}', "malformed_reply", "no list of texts"),
        ('{"keys": [["total"]]}', "malformed_reply", "no list of texts"),
        ("[" * 100_000, "malformed_reply", "not valid JSON"),
        ("", "malformed_reply", "not valid JSON"),
    ],
)
def test_what_cannot_be_repaired_is_a_reject(lake: Lake, reply: str, reason: str, detail: str) -> None:
    rows, (reject,), _ = asked_of(lake, reply, reply)
    assert rows == []
    assert (reject.stage, reject.reason, reject.category) == ("compression", reason, "Weather")
    assert reject.record_id == "Weather/sky/news"
    assert detail in reject.detail


def test_the_teacher_sees_documentation_and_examples_and_no_credential(lake: Lake) -> None:
    api = an_api("Sky", "news")
    secret = Parameter(name="token", shown_as="token", type="string", required=True, description="Yours", secret=True)
    api = dataclasses.replace(api, parameters=[*api.parameters, secret], response_example=json.dumps(long(total=60)))
    _, _, teacher = asked_of(lake, '{"keys": ["total"]}', api=api)
    system, task = (message["content"] for message in teacher.asked[0]["messages"])
    case = json.loads(task.partition("```json\n")[2].partition("\n```")[0])
    assert case["api"] == {
        "name": "news_for_sky", "tool": "Sky", "category": "Weather", "description": "Sky: the news of a city",
        "parameters": [{"name": "city", "description": "A city"}],
    }  # fmt: skip
    assert case["responses"] == [compress(long(total=60), (), 1000)]
    assert system.count('{"keys": [') == 4  # the form of the answer, and three examples of it


def test_the_examples_in_the_prompt_keep_to_its_own_rules() -> None:
    from toolbench import prompts

    lines = prompts.load("toolbench.compression", "system").render().splitlines()
    pairs = [(lines[n - 2], line) for n, line in enumerate(lines) if line.startswith('{"keys"')]
    assert len(pairs) == 3
    for response, answer in pairs:
        assert set(json.loads(answer)["keys"]) <= set(paths(json.loads(response)))


def test_a_refusal_is_a_reject_and_a_teacher_that_fails_leaves_the_shard_undone(
    lake: Lake, start_teacher: Start
) -> None:
    api = dataclasses.replace(an_api("Sky", "news"), response_example=json.dumps(long()))
    view = placed(lake, api)
    settings = settings_of(lake, start_teacher(refusal_rate=1.0).url)
    (spec,) = planned(lake, view, settings)
    assert receipt(lake, spec, settings).reasons == {"no_reply": 1}
    other = Spec.model_validate({**spec.model_dump(), "content": "other"})
    with pytest.raises(TransientError):
        receipt(lake, other, settings_of(lake, start_teacher(error_rate=1.0).url))
    assert lake.receipt(other.digest) is None


def test_an_api_that_left_the_catalogue_is_said(lake: Lake) -> None:
    api = dataclasses.replace(an_api("Sky", "news"), response_example=json.dumps(long()))
    (spec,) = planned(lake, placed(lake, api), settings_of(lake))
    gone = spec.model_copy(update={"inputs": {"apis": []}})
    with pytest.raises(LakeError, match="API Weather/sky/news is no longer in the catalogue"):
        receipt(lake, gone, settings_of(lake))


def test_other_calls_the_next_night_are_no_reason_to_ask_again(lake: Lake, honest_teacher: Server) -> None:
    api, later = an_api("Sky", "news"), an_api("Sky", "alerts")
    placed(lake, api, later)
    settings = settings_of(lake, honest_teacher.url)
    specs = planned(lake, called(lake, (api, 0, long())), settings)
    rows, _ = named(lake, specs, settings)
    assert [row.id for row in rows] == [api.id]
    view = called(lake, (api, 0, long("other")), (later, 0, long("motto")), name="two")
    again = planned(lake, view, settings)
    assert [spec.records for spec in again] == [[api.id], [later.id]]
    assert again[0].digest == specs[0].digest, "with the examples it had"
    rows, view = named(lake, again, settings)
    assert sorted(row.id for row in rows) == sorted([api.id, later.id])
    assert [len(journaled(lake, spec)) for spec in again] == [1, 1]
    # Searches that make no long call any more take nothing away; an API that changed is looked at anew.
    same = planned(lake, called(lake, name="none"), settings)
    assert sorted(spec.digest for spec in same) == sorted(spec.digest for spec in again)
    view = placed(lake, api, dataclasses.replace(later, digest="changed"))
    assert [spec.digest for spec in planned(lake, view, settings)] == [specs[0].digest]


def test_half_a_surrogate_pair_in_a_response_can_be_asked_about(lake: Lake, honest_teacher: Server) -> None:
    api = dataclasses.replace(an_api("Sky", "news"), response_example=json.dumps(long(broken="Oslo \ud83d")))
    settings = settings_of(lake, honest_teacher.url)
    rows, _ = named(lake, planned(lake, placed(lake, api), settings), settings)
    assert rows[0].keys
