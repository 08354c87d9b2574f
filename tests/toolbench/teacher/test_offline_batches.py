"""The offline teacher's Batch API, spoken to by the real openai client."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from workshop import Server

from toolbench.teacher.offline import complete
from toolbench.teacher.offline.batches import ENDPOINT

Start = Callable[..., Server]


def line(name: str, **body: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": name}]
    return {"custom_id": name, "method": "POST", "url": ENDPOINT, "body": {"model": "m", "messages": messages, **body}}


def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)


def made(api: openai.OpenAI, *lines: Any) -> Any:
    """A batch of these lines, when it has ended."""
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in lines)
    file = api.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    batch = api.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", metadata={"a": "b"})
    while batch.status not in ("completed", "failed", "expired", "cancelled"):
        time.sleep(0.01)
        batch = api.batches.retrieve(batch.id)
    return batch


def rows(api: openai.OpenAI, file: str | None) -> dict[str, Any]:
    return {r["custom_id"]: r for r in map(json.loads, api.files.content(file).text.splitlines())} if file else {}


def test_results_are_those_of_single_requests(start_teacher: Start) -> None:
    api = client(start_teacher())
    asked = [line("a", seed=1), line("b"), line("c", messages=[])]
    batch = made(api, *asked)
    assert (batch.status, batch.metadata) == ("completed", {"a": "b"})
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (3, 2, 1)
    good, bad = rows(api, batch.output_file_id), rows(api, batch.error_file_id)
    assert {name: r["response"]["body"] for name, r in good.items()} == {
        row["custom_id"]: complete(row["body"]) for row in asked[:2]
    }
    assert bad["c"]["response"]["status_code"] == 400


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ([line("a"), line("a")], "duplicate_custom_id", 2),
        ([line("a"), "{"], "invalid_json_line", 2),
        (["[]"], "invalid_json_line", 1),
        (['{"custom_id": "a", "body": 3}'], "invalid_json_line", 1),
        ([{**line("a"), "url": "/v1/embeddings"}], "mismatched_url", 1),
        ([line("a"), line("b", model="n")], "mismatched_model", 2),
        ([""], "empty_file", None),
    ],
)
def test_a_wrong_file_fails_validation(lines: list[Any], code: str, number: int | None, honest_teacher: Server) -> None:
    batch = made(client(honest_teacher), *lines)
    assert batch.status == "failed"
    assert [(e.code, e.line) for e in batch.errors.data] == [(code, number)]
    assert batch.output_file_id is None


def test_faults_of_batches(start_teacher: Start) -> None:
    asked = [line(str(number)) for number in range(30)]
    api = client(start_teacher(batch_expire_rate=0.5))
    batch = made(api, *asked)
    late = rows(api, batch.error_file_id)
    assert batch.status == "expired"
    assert {r["error"]["code"] for r in late.values()} == {"batch_expired"}
    assert {*late, *rows(api, batch.output_file_id)} == {r["custom_id"] for r in asked}
    assert 0 < len(late) < 30
    api = client(start_teacher(batch_drop_rate=1.0))
    dropped = rows(api, made(api, *asked).error_file_id)
    assert {r["response"]["status_code"] for r in dropped.values()} == {500}
    assert made(client(start_teacher(batch_reject_rate=1.0)), *asked).status == "failed"


def test_batches_are_listed_by_page_the_newest_first_and_files_removed(start_teacher: Start) -> None:
    server = start_teacher()
    api = client(server)
    ids = [made(api, line(str(number))).id for number in range(3)]
    assert [batch.id for batch in api.batches.list(limit=2)] == ids[::-1]
    file = api.batches.retrieve(ids[0]).input_file_id
    assert api.files.delete(file).deleted
    for gone in (lambda: api.files.content(file), lambda: api.files.delete(file), lambda: api.batches.retrieve("x")):
        with pytest.raises(openai.NotFoundError):
            gone()
    for wrong in ({}, {"input_file_id": "x"}, {"input_file_id": api.batches.retrieve(ids[1]).input_file_id}):
        assert httpx.post(f"{server.url}/v1/batches", json=wrong).status_code == 400
    assert httpx.post(f"{server.url}/v1/batches", content="{").status_code == 400
    assert httpx.post(f"{server.url}/v1/files", content="{").status_code == 400
