"""The Batch API of the offline teacher: files, batches made of them, and their results in another order."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from toolbench.digests import digest
from toolbench.teacher.offline.complete import BadRequestError, complete, digest_of
from toolbench.teacher.offline.faults import Faults

ENDPOINT = "/v1/chat/completions"
MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000
_FINAL = ("completed", "failed", "expired", "cancelled")


@dataclass
class File:
    """A file, sent or made."""

    name: str
    data: bytes
    purpose: str
    created_at: int = field(default_factory=lambda: int(time.time()))

    def shown(self, name: str) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": name, "object": "file", "bytes": len(self.data), "created_at": self.created_at,
            "filename": self.name, "purpose": self.purpose, "status": "processed",
        }  # fmt: skip


class Batches:
    """Files and batches since the server started. `attempt` counts a request by its digest and tells how often it came
    before."""

    def __init__(self, faults: Faults, attempt: Callable[[str], int]) -> None:
        self.files: dict[str, File] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._created = self._answered = 0
        self._faults, self._attempt = faults, attempt
        self._times: dict[str, int] = {}
        """How often a request was in a batch before, by its digest."""
        self._tasks: set[asyncio.Task[None]] = set()

    def stats(self) -> dict[str, int]:
        """`batches`: made since the last reset; `batched`: requests in them that were asked of the model."""
        return {"batches": self._created, "batched": self._answered}

    def reset(self) -> None:
        """Forgets how many there were, and no file or batch."""
        self._created = self._answered = 0
        self._times.clear()

    def keep(self, name: str, data: bytes, purpose: str) -> dict[str, Any]:
        """Store a file."""
        key = f"file-{uuid.uuid4().hex}"
        self.files[key] = File(name, data, purpose)
        return self.files[key].shown(key)

    def create(self, body: Any) -> dict[str, Any]:
        """Start a batch. Raises BadRequestError for what OpenAI would not take."""
        if not isinstance(body, dict) or body.get("input_file_id") not in self.files:
            raise BadRequestError("input_file_id names no file that was sent.", "input_file_id")
        if body.get("endpoint") != ENDPOINT:
            raise BadRequestError(f"endpoint must be {ENDPOINT}.", "endpoint")
        if body.get("completion_window") != "24h":
            raise BadRequestError("completion_window must be 24h.", "completion_window")
        key, now = f"batch_{uuid.uuid4().hex}", int(time.time())
        batch: dict[str, Any] = {
            "id": key, "object": "batch", "endpoint": ENDPOINT, "errors": None, "completion_window": "24h",
            "input_file_id": body["input_file_id"], "output_file_id": None, "error_file_id": None,
            "status": "validating", "created_at": now, "expires_at": now + 24 * 3600,
            "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": body.get("metadata"),
        }  # fmt: skip
        self.batches[key] = batch
        self._created += 1
        task = asyncio.get_running_loop().create_task(self._carry_out(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return batch

    def cancel(self, batch: dict[str, Any]) -> dict[str, Any]:
        """No further request of it is answered."""
        if batch["status"] not in _FINAL:
            batch["status"] = "cancelling"
        return batch

    def listed(self, after: str | None, limit: int) -> dict[str, Any]:
        """A page of all batches, the newest first."""
        keys = list(reversed(self.batches))
        start = keys.index(after) + 1 if after in self.batches else 0
        page = [self.batches[key] for key in keys[start : start + limit]]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        return {"object": "list", "data": page, **ends, "has_more": start + limit < len(keys)}

    async def _carry_out(self, batch: dict[str, Any]) -> None:
        lines, errors = _read(self.files[batch["input_file_id"]].data)
        if not errors and self._faults.hits("batch_reject", digest_of(lines[0]["body"]), 0):
            errors = [_flaw("invalid_request", "The server was told to refuse this batch.", 1)]
        if errors:
            batch |= {"status": "failed", "errors": {"object": "list", "data": errors}, "failed_at": int(time.time())}
            return
        if batch["status"] == "validating":  # it may have been cancelled already
            batch |= {"status": "in_progress", "in_progress_at": int(time.time())}
        batch["request_counts"]["total"] = len(lines)
        await asyncio.sleep(self._faults.batch_ms / 1000)
        # In another order than they came in, as from an endpoint that answers many at once.
        results = []
        for line in sorted(lines, key=lambda line: digest(line["custom_id"])):
            stopped = batch["status"] == "cancelling"
            results.append(_not_answered(line, "batch_cancelled") if stopped else self._answer(line))
            await asyncio.sleep(0)  # others want to be served, too
        self._end(batch, results)

    def _answer(self, line: dict[str, Any]) -> dict[str, Any]:
        body, faults = line["body"], self._faults
        key = digest_of(body)
        times = self._times[key] = self._times.get(key, -1) + 1
        if faults.hits("batch_expire", key, times):
            return _not_answered(line, "batch_expired")
        self._answered += 1
        attempt = self._attempt(key)
        if faults.hits("batch_drop", key, attempt) or faults.hits("error", key, attempt):
            return _answered(line, 500, {"error": {"message": "The server had an error.", "type": "server_error"}})
        try:
            return _answered(line, 200, complete(body, faults, attempt))
        except BadRequestError as error:
            said = {"message": str(error), "type": "invalid_request_error", "param": error.param, "code": None}
            return _answered(line, 400, {"error": said})

    def _end(self, batch: dict[str, Any], results: list[dict[str, Any]]) -> None:
        good = [r for r in results if r["response"] and r["response"]["status_code"] == 200]
        bad = [r for r in results if r not in good]
        for field_, found in (("output_file_id", good), ("error_file_id", bad)):
            if found:
                text = "".join(json.dumps(result, ensure_ascii=False) + "\n" for result in found)
                batch[field_] = self.keep(f"{batch['id']}_{field_}.jsonl", text.encode(), "batch_output")["id"]
        expired = any((r["error"] or {}).get("code") == "batch_expired" for r in results)
        status = "cancelled" if batch["status"] == "cancelling" else "expired" if expired else "completed"
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}
        batch |= {"status": status, f"{status}_at": int(time.time())}


def _read(data: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A file's lines, and what is wrong with them."""
    if len(data) > MOST_BYTES:
        return [], [_flaw("file_too_large", f"The file has more than {MOST_BYTES} bytes.", None)]
    found: list[dict[str, Any]] = []
    errors = list(_flaws(data, found))
    if len(found) > MOST_REQUESTS:
        errors.append(_flaw("too_many_tasks", f"The file has more than {MOST_REQUESTS} requests.", None))
    if not found and not errors:
        errors.append(_flaw("empty_file", "The file holds no request.", None))
    return found, errors


def _flaws(data: bytes, found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    names: set[str] = set()
    models: set[str] = set()
    for number, text in enumerate(data.splitlines(), 1):
        try:
            line = json.loads(text)
            name, body = line["custom_id"], line["body"]
            digest_of(body)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, BadRequestError):
            yield _flaw("invalid_json_line", "The line is not a request as JSON.", number)
            continue
        if not isinstance(name, str) or name in names:
            yield _flaw("duplicate_custom_id", "custom_id is no text, or was used before.", number)
        elif (line.get("method"), line.get("url")) != ("POST", ENDPOINT):
            yield _flaw("mismatched_url", f"method and url have to be POST and {ENDPOINT}.", number)
        elif models and body.get("model") not in models:
            yield _flaw("mismatched_model", "All requests have to be to the same model.", number)
        else:
            names.add(name)
            models.add(str(body.get("model")))
            found.append(line)


def _flaw(code: str, message: str, line: int | None) -> dict[str, Any]:
    return {"code": code, "message": message, "line": line, "param": None}


def _answered(line: dict[str, Any], status: int, body: dict[str, Any]) -> dict[str, Any]:
    response = {"status_code": status, "request_id": uuid.uuid4().hex, "body": body}
    return {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": line["custom_id"], "response": response, "error": None}


def _not_answered(line: dict[str, Any], code: str) -> dict[str, Any]:
    error = {"code": code, "message": f"This request was not answered ({code})."}
    return {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": line["custom_id"], "response": None, "error": error}
