"""The Batch API over HTTP: `/v1/files` and `/v1/batches` as OpenAI's SDK asks for them."""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from toolbench.teacher.offline.batches import Batches
from toolbench.teacher.offline.complete import BadRequestError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    Handler = Callable[[Request], Awaitable[Response]]

Refuse = Callable[["Request"], "Response | None"]
"""The answer to a request without the right key."""
Error = Callable[..., "Response"]
"""An error in OpenAI's shape: status, message, kind, `param`."""


def routes(batches: Batches, refuse: Refuse, error: Error) -> list["Route"]:
    """The routes, every one of them behind `refuse`."""
    from starlette.datastructures import UploadFile
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def missing(kind: str, name: str) -> Response:
        return error(404, f"There is no {kind} {name!r}.", "invalid_request_error", param="id")

    async def send_file(request: "Request") -> Response:
        async with request.form() as form:
            file, purpose = form.get("file"), form.get("purpose")
            if not isinstance(file, UploadFile) or purpose != "batch":
                return error(400, "A file and the purpose `batch` are needed.", "invalid_request_error", param="file")
            return JSONResponse(batches.keep(file.filename or "", await file.read(), "batch"))

    async def content(request: "Request") -> Response:
        file = batches.files.get(name := request.path_params["id"])
        return Response(file.data, media_type="application/octet-stream") if file else missing("file", name)

    async def remove(request: "Request") -> Response:
        name = request.path_params["id"]
        if batches.files.pop(name, None) is None:
            return missing("file", name)
        return JSONResponse({"id": name, "object": "file", "deleted": True})

    async def create(request: "Request") -> Response:
        try:
            body: Any = json.loads(await request.body())
            return JSONResponse(batches.create(body))
        except BadRequestError as wrong:
            return error(400, str(wrong), "invalid_request_error", param=wrong.param)
        except (ValueError, RecursionError):
            return error(400, "The request's body must be a JSON object.", "invalid_request_error")

    async def listed(request: "Request") -> Response:
        limit = request.query_params.get("limit", "20")
        most = min(max(int(limit), 1), 100) if limit.isdecimal() else 20
        return JSONResponse(batches.listed(request.query_params.get("after"), most))

    async def look(request: "Request") -> Response:
        batch = batches.batches.get(name := request.path_params["id"])
        return JSONResponse(batch) if batch else missing("batch", name)

    async def cancel(request: "Request") -> Response:
        batch = batches.batches.get(name := request.path_params["id"])
        return JSONResponse(batches.cancel(batch)) if batch else missing("batch", name)

    def guarded(handler: "Handler") -> "Handler":
        async def guard(request: "Request") -> Response:
            return refuse(request) or await handler(request)

        return guard

    return [
        Route("/v1/files", guarded(send_file), methods=["POST"]),
        Route("/v1/files/{id}", guarded(remove), methods=["DELETE"]),
        Route("/v1/files/{id}/content", guarded(content)),
        Route("/v1/batches", guarded(create), methods=["POST"]),
        Route("/v1/batches", guarded(listed)),
        Route("/v1/batches/{id}", guarded(look)),
        Route("/v1/batches/{id}/cancel", guarded(cancel), methods=["POST"]),
    ]
