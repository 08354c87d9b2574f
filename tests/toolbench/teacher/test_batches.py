"""The Batch API against the offline teacher's, over HTTP: one batch, all replies, nothing lost and nothing twice."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from batch_worker import question, settings
from workshop import Server

from toolbench.errors import BudgetError, LakeError, TeacherError, TransientError
from toolbench.lake import Lake
from toolbench.records import Reply
from toolbench.teacher.batches import BatchTeacher
from toolbench.teacher.batches import lines as written
from toolbench.teacher.offline import Faults, complete, create_app
from toolbench.teacher.shared import Shared

Start = Callable[..., Server]
Work = Callable[[BatchTeacher], Awaitable[Any]]


def stats(server: Server) -> dict[str, int]:
    found: dict[str, int] = httpx.get(f"{server.url}/stats").json()
    return found


def noted(lake: Lake) -> list[dict[str, Any]]:
    """What the lake says of batches under way."""
    return [json.loads(lake.store.read(key)) for key, _ in lake.store.list("batches")]


def batches(server: Server) -> list[dict[str, Any]]:
    """The batches at the server, the newest first."""
    found: list[dict[str, Any]] = httpx.get(f"{server.url}/v1/batches").json()["data"]
    return found


def sent(server: Server) -> list[bytes]:
    """The files of requests at the server, in order."""
    url = f"{server.url}/v1/files"
    return [httpx.get(f"{url}/{b['input_file_id']}/content").content for b in reversed(batches(server))]


async def with_teacher(lake: Lake, url: str, work: Work, *, saved: bool = True, **more: Any) -> Any:
    teacher = BatchTeacher(settings(url, **more), lake.store, shared=Shared())
    await teacher.enter()
    try:
        return await work(teacher)
    finally:
        await teacher.leave(saved=saved)


def asked(lake: Lake, url: str, count: int, *, saved: bool = True, **more: Any) -> list[Reply]:
    """The replies to as many questions at once."""

    async def work(teacher: BatchTeacher) -> list[Reply]:
        return await asyncio.gather(*(teacher.send(f"r{n}", question(n)) for n in range(count)))

    replies: list[Reply] = asyncio.run(with_teacher(lake, url, work, saved=saved, **more))
    return replies


def expected(count: int) -> list[str]:
    return [complete(question(n))["choices"][0]["message"]["content"] for n in range(count)]


@pytest.fixture
def serve() -> Iterator[Callable[[Any], Server]]:
    """Servers behind an application of the test's own."""
    running: list[Server] = []

    def start(app: Any) -> Server:
        running.append(Server(app))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def test_what_is_asked_at_once_is_one_batch_and_everybody_gets_their_own_reply(
    lake: Lake, start_teacher: Start
) -> None:
    server = start_teacher()
    prices = {"offline-teacher": (1e6, 2e6)}
    replies = asked(lake, server.url, 40, prices=prices)
    assert [r.content for r in replies] == expected(40)
    for number, reply in enumerate(replies):
        usage = complete(question(number))["usage"]
        assert (reply.input_tokens, reply.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
        assert reply.cost == (usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 2  # half the price
    assert stats(server) == {
        "chat": 0, "by_digest_max": 1, "in_flight_max": 0, "distinct": 40, "batches": 1, "batched": 40
    }  # fmt: skip
    assert noted(lake) == []
    (batch,) = batches(server)
    output = httpx.get(f"{server.url}/v1/files/{batch['output_file_id']}/content").text.splitlines()
    inputs = sent(server)[0].decode().splitlines()
    order = [[json.loads(line)["custom_id"] for line in lines] for lines in (inputs, output)]
    assert order[0] != order[1]  # so that the order did not help us
    assert sorted(order[0]) == sorted(order[1])


def test_equal_questions_are_asked_as_often_as_they_are_put(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()

    async def work(teacher: BatchTeacher) -> list[Reply]:
        return await asyncio.gather(*(teacher.send("r", question(1)) for _ in range(3)))

    assert len(asyncio.run(with_teacher(lake, server.url, work))) == 3
    assert (stats(server)["batched"], stats(server)["distinct"]) == (3, 1)


def test_files_are_split_by_count(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    assert [r.content for r in asked(lake, server.url, 11, batch_requests=4)] == expected(11)
    assert sorted(len(file.splitlines()) for file in sent(server)) == [3, 4, 4]


def test_files_are_split_by_bytes_not_characters(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    text = "Wie wird das Wetter in Zürich? 東京の天気は？" * 5

    def long(number: int) -> dict[str, Any]:
        return {"model": "m", "seed": number, "messages": [{"role": "user", "content": text}]}

    async def work(teacher: BatchTeacher) -> list[Reply]:
        return await asyncio.gather(*(teacher.send(f"r{n}", long(n)) for n in range(9)))

    replies = asyncio.run(with_teacher(lake, server.url, work, batch_bytes=1500))
    assert all(r.content and not r.error for r in replies)
    files = sent(server)
    assert {len(file) <= 1500 for file in files} == {True}
    # As full as they may be: by characters, more lines would have gone into one.
    line = len(files[0].splitlines(keepends=True)[0])
    assert {len(file.splitlines()) for file in files[:-1]} == {1500 // line}
    assert 1500 // line < 1500 // len(files[0].splitlines(keepends=True)[0].decode())


def test_a_request_too_large_for_any_file_is_refused_alone(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    huge = {"model": "m", "messages": [{"role": "user", "content": "é" * 600}]}

    async def work(teacher: BatchTeacher) -> list[Reply]:
        return await asyncio.gather(teacher.send("r", huge), teacher.send("s", question(1)))

    refused, fine = asyncio.run(with_teacher(lake, server.url, work, batch_bytes=1024))
    assert "more than a batch may" in refused.error
    assert fine.content


def test_half_a_surrogate_pair_does_not_stop_the_others(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    odd = {"model": "m", "messages": [{"role": "user", "content": "\ud83d"}]}
    reply = asyncio.run(with_teacher(lake, server.url, lambda t: t.send("r", odd)))
    assert reply.content


def test_shards_in_several_threads_share_a_batch(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    found: dict[int, list[str | None]] = {}

    def shard(first: int) -> None:
        async def work(teacher: BatchTeacher) -> list[Reply]:
            return await asyncio.gather(*(teacher.send(f"{n}", question(n)) for n in range(first, first + 5)))

        replies = asyncio.run(with_teacher(lake, server.url, work, batch_linger=1.0))
        found[first] = [r.content for r in replies]

    threads = [threading.Thread(target=shard, args=(first,)) for first in (0, 5, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [content for first in (0, 5, 10) for content in found[first]] == expected(15)
    assert stats(server)["batches"] == 1
    assert not [t for t in threading.enumerate() if t.name == "batches"]


def test_errors_of_single_requests_are_asked_again(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher(batch_drop_rate=0.4)
    assert [r.content for r in asked(lake, server.url, 20, max_retries=8)] == expected(20)
    found = stats(server)
    assert found["distinct"] == 20
    assert 20 < found["batched"] < 60  # only those that failed were sent again
    assert noted(lake) == []


def test_errors_that_do_not_end_are_raised_and_the_rest_is_kept(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher(batch_drop_rate=1.0)
    with pytest.raises(TransientError, match="failed after 1 retries: Error code: 500"):
        asked(lake, server.url, 2, max_retries=1)
    assert stats(server)["batches"] == 2


def test_what_the_endpoint_says_of_one_request_is_its_reply(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher(refusal_rate=1.0)

    async def work(teacher: BatchTeacher) -> tuple[list[Reply], int]:
        bodies = ({"model": "m", "messages": []}, question(1))
        replies = await asyncio.gather(*(teacher.send("r", body) for body in bodies))
        return replies, teacher.counts.refusals

    (wrong, refused), counted = asyncio.run(with_teacher(lake, server.url, work))
    assert wrong.error.startswith("the endpoint rejected the request: Error code: 400")
    assert refused.error.startswith("the teacher refused")
    assert counted == 1


def test_of_an_expired_batch_only_what_is_missing_is_asked_again(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher(batch_expire_rate=0.5)
    assert [r.content for r in asked(lake, server.url, 24, max_retries=10)] == expected(24)
    found = stats(server)
    assert (found["batched"], found["by_digest_max"]) == (24, 1)  # no reply was paid for twice
    states = [batch["status"] for batch in batches(server)]
    assert states[-1] == "expired"
    assert states[0] == "completed"
    assert noted(lake) == []


def test_batches_that_always_expire_end_in_an_error(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher(batch_expire_rate=1.0)
    with pytest.raises(TransientError, match=r"unanswered after 1 retries \(batch_expired"):
        asked(lake, server.url, 3, max_retries=1)
    assert stats(server)["batches"] == 2
    assert noted(lake) == []


def test_a_batch_that_is_not_accepted_is_one_clear_error_and_costs_nothing(lake: Lake, start_teacher: Start) -> None:
    server, shared = start_teacher(batch_reject_rate=1.0), Shared()

    async def main() -> BatchTeacher:
        teacher = BatchTeacher(settings(server.url, budget_calls=9), lake.store, shared=shared)
        await teacher.enter()
        told = await asyncio.gather(*(teacher.send("r", question(n)) for n in range(3)), return_exceptions=True)
        await teacher.leave(saved=True)
        assert {type(error) for error in told} == {TeacherError}
        assert "did not accept batch batch_" in str(told[0])
        assert "told to refuse this batch. (line 1)" in str(told[0])
        return teacher

    teacher = asyncio.run(main())
    assert teacher._ledger
    assert teacher._ledger.spent.calls == 0
    assert noted(lake) == []


class Cancelling:
    """An application whose first batch is cancelled as soon as it is made."""

    def __init__(self) -> None:
        self._app, self._done = create_app(Faults(batch_ms=300)), False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def cancel(message: Any) -> None:
            if message["type"] == "http.response.body":
                batch = json.loads(message["body"])["id"]
                path = f"/v1/batches/{batch}/cancel"
                await self._app({**scope, "path": path, "raw_path": path.encode()}, receive, _ignore)
            await send(message)

        first = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/v1/batches"
        if first and not self._done:
            self._done = True
            return await self._app(scope, receive, cancel)
        return await self._app(scope, receive, send)


async def _ignore(message: Any) -> None:
    pass


def test_a_batch_cancelled_at_the_endpoint_stops_the_work_until_it_is_run_again(
    lake: Lake, serve: Callable[[Any], Server]
) -> None:
    server = serve(Cancelling())
    with pytest.raises(TeacherError, match=r"was cancelled at .*; run the same command again"):
        asked(lake, server.url, 3)
    assert [batch["status"] for batch in batches(server)] == ["cancelled"]
    assert noted(lake) == []
    assert [r.content for r in asked(lake, server.url, 3)] == expected(3)
    assert stats(server)["batched"] == 3


def test_a_batch_never_goes_beyond_the_budget(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()

    async def work(teacher: BatchTeacher) -> list[Any]:
        calls = (teacher.send(f"r{n}", question(n)) for n in range(12))
        return await asyncio.gather(*calls, return_exceptions=True)

    told = asyncio.run(with_teacher(lake, server.url, work, budget_calls=5))
    assert [type(x) for x in told] == [Reply] * 5 + [BudgetError] * 7
    assert stats(server)["batched"] == 5
    server.reset()
    # By dollars, at half the price: what a request may cost is set aside, what it did cost is what counts.
    usage = complete(question(0))["usage"]
    dollars = (usage["prompt_tokens"] + usage["completion_tokens"]) / 2
    limits = {"prices": {"offline-teacher": (1e6, 1e6)}, "max_output_tokens": 100, "budget_dollars": 150.0}
    told = asyncio.run(with_teacher(Lake("memory://budget"), server.url, work, **limits))
    spent = [x.cost for x in told if isinstance(x, Reply)]
    assert dollars in spent
    assert sum(spent) <= 150
    assert {type(x) for x in told} == {Reply, BudgetError}
    assert stats(server)["batches"] > 1  # what was not used of the first batch's share went into the next


def test_a_wrong_key_and_an_endpoint_without_batches_are_said(lake: Lake, serve: Callable[[Any], Server]) -> None:
    locked = serve(create_app(api_key="right"))
    with pytest.raises(TeacherError, match="refuses the key"):
        asked(lake, locked.url, 2)
    assert noted(lake) == []
    assert asked(lake, locked.url, 1, api_key="right")[0].content

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

    with pytest.raises(TeacherError, match=r"has no Batch API .*: unset teacher\.batch"):
        asked(lake, serve(nothing).url, 1)


class Stumbling:
    """An application that loses the answers to some requests, by method and path, after it has acted on them."""

    def __init__(self, method: str, path: str, times: int, status: int = 500) -> None:
        self._app, self._match, self._times, self._status = create_app(Faults()), (method, path), times, status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def lose(message: Any) -> None:
            if message["type"] == "http.response.start":
                await send({"type": "http.response.start", "status": self._status, "headers": []})
            elif not message.get("more_body"):
                await send({"type": "http.response.body", "body": b""})

        method, path = self._match
        hit = scope["type"] == "http" and scope["method"] == method and scope["path"].startswith(path)
        if hit and self._times:
            self._times -= 1
            return await self._app(scope, receive, lose)
        return await self._app(scope, receive, send)


@pytest.mark.parametrize(
    ("method", "path", "times"),
    [("POST", "/v1/batches", 1), ("POST", "/v1/files", 2), ("GET", "/v1/batches/batch_", 2), ("GET", "/v1/files/", 1)],
)
def test_a_lost_answer_makes_no_second_batch(
    method: str, path: str, times: int, lake: Lake, serve: Callable[[Any], Server]
) -> None:
    server = serve(Stumbling(method, path, times))
    assert [r.content for r in asked(lake, server.url, 3, max_retries=3)] == expected(3)
    assert (stats(server)["batches"], stats(server)["batched"]) == (1, 3)
    assert noted(lake) == []


def test_a_batch_whose_making_failed_for_good_is_looked_for_the_next_time(
    lake: Lake, serve: Callable[[Any], Server]
) -> None:
    server = serve(Stumbling("POST", "/v1/batches", 1))
    with pytest.raises(TransientError, match="failed after 0 retries"):
        asked(lake, server.url, 3)
    assert len(noted(lake)) == 1
    assert [r.content for r in asked(lake, server.url, 3)] == expected(3)
    assert (stats(server)["batches"], stats(server)["batched"]) == (1, 3)


def test_a_shard_given_up_and_tried_again_waits_for_the_same_batch(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher(batch_ms=300)

    async def work(teacher: BatchTeacher) -> Reply:
        first = asyncio.create_task(teacher.send("r", question(1)))
        while not await asyncio.to_thread(batches, server):
            await asyncio.sleep(0.02)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await teacher.send("r", question(1))

    assert asyncio.run(with_teacher(lake, server.url, work)).content
    assert stats(server)["batches"] == 1


def test_what_was_not_journaled_is_handed_out_again(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    first = asked(lake, server.url, 4, saved=False)
    assert len(noted(lake)[0]["requests"]) == 4
    assert asked(lake, server.url, 2) == first[:2]
    assert len(noted(lake)[0]["requests"]) == 2  # two are in a journal now
    assert asked(lake, server.url, 5)[:4] == first
    assert noted(lake) == []
    # The last round asked anew for the two that were settled, as for any question that is put once more.
    assert stats(server)["batched"] == 4 + 2 + 1


def test_another_record_s_or_model_s_batch_is_left_alone(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    asked(lake, server.url, 1, saved=False)
    asyncio.run(with_teacher(lake, server.url, lambda t: t.send("other", question(0))))
    asked(lake, server.url, 1, model="other")
    assert stats(server)["batches"] == 3
    assert len(noted(lake)) == 1


def test_a_damaged_note_is_said_and_an_old_one_removed(lake: Lake, start_teacher: Start) -> None:
    server = start_teacher()
    asked(lake, server.url, 1, saved=False)
    (note,) = noted(lake)
    key = f"batches/{note['name']}.json"
    lake.store.write(key, b"{")
    with pytest.raises(LakeError, match=rf"{key} is damaged.*remove it"):
        asked(lake, server.url, 1)
    lake.store.write(key, json.dumps({**note, "created_at": 0}).encode())
    asked(lake, server.url, 1)
    assert noted(lake) == []


def test_results_are_read_leniently() -> None:
    rows: list[Any] = [
        {"custom_id": "a-0", "response": {"status_code": 200, "body": {"choices": []}}, "error": None},
        {"custom_id": "b-1", "response": {"status_code": 429, "body": "busy"}},
        {"custom_id": "c-2", "response": None, "error": {"code": "batch_expired", "message": "late"}},
        {"custom_id": "d-3"},
        {"custom_id": 4, "response": {"status_code": 200}}, [], "x", None,
    ]  # fmt: skip
    data = "\n".join([*map(json.dumps, rows), "{", "[" * 100_000, ""]).encode() + b"\xff\xfe\n"
    found = dict(written.results(data))
    assert {name: (r.status, r.code) for name, r in found.items()} == {
        "a-0": (200, ""), "b-1": (429, ""), "c-2": (0, "batch_expired"), "d-3": (0, "no_response")
    }  # fmt: skip
