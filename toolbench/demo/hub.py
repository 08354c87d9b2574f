"""The hub as one application: tools mounted side by side, their documents, and a few pages about the hub itself."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.routing import APIRoute

from toolbench.demo import HOST
from toolbench.demo.categories import TOOLS
from toolbench.demo.misbehaving import MISBEHAVING
from toolbench.demo.tool import HubState, HubTool
from toolbench.serving.listening import listen

Document = dict[str, Any]


def create_app(delays: bool = True, misbehave: bool = True) -> FastAPI:
    """See `toolbench.demo.create_app`."""
    hub = FastAPI(title="Toolbench demo hub", openapi_url=None, docs_url=None, redoc_url=None)
    state = HubState(delays, MISBEHAVING if misbehave else {})
    published = {}
    for tool in TOOLS:
        app = _application(tool, state)
        published[tool.slug] = _document(tool, app)
        hub.mount(f"/{tool.slug}", app)

    @hub.get("/index.json")
    def index() -> dict[str, list[str]]:
        return {"openapi": [f"/openapi/{slug}.json" for slug in published]}

    @hub.get("/openapi/{name}.json")
    def document(name: str) -> Document:
        if name not in published:
            raise HTTPException(404, f"there is no tool '{name}'; see /index.json")
        return published[name]

    @hub.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "tools": len(published)}

    @hub.get("/stats")
    def stats() -> dict[str, Any]:
        return {"total": state.requests.total(), "requests": dict(sorted(state.requests.items()))}

    @hub.post("/reset")
    def reset() -> dict[str, str]:
        state.requests.clear()
        return {"status": "ok"}

    return hub


def documents() -> list[Document]:
    """See `toolbench.demo.documents`."""
    state = HubState(delays=False, misbehaving={})
    return [_document(tool, _application(tool, state)) for tool in TOOLS]


def serve(host: str, port: int, ready: Callable[[int], None] | None, delays: bool) -> None:
    """See `toolbench.demo.serve`."""
    listen(create_app(delays), host, port, ready)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _application(tool: HubTool, state: HubState) -> FastAPI:
    app = FastAPI(
        title=tool.title,
        description=tool.description,
        version="1.0.0",
        servers=[{"url": f"http://{HOST}/{tool.slug}"}],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.hub = state
    app.include_router(tool.router)
    return app


def _document(tool: HubTool, app: FastAPI) -> Document:
    document: Document = app.openapi()
    document["info"] |= {"x-category": tool.category, "x-collections": list(tool.collections)}
    for path in document["paths"].values():
        for operation in path.values():
            operation["description"] = " ".join(operation["description"].split())
            for parameter in operation.get("parameters", []):
                # Readers made for OpenAPI 3.0 look here and not into the schema.
                if "examples" in parameter["schema"]:
                    parameter["example"] = parameter["schema"]["examples"][0]
    return document
