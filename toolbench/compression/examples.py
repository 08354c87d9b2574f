"""What the teacher is shown of an API: its documentation, and responses of the kind that has to be shortened."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow.compute as pc

from toolbench.apis.compress import compress, fits, paths, unpacked
from toolbench.apis.recorded import Recorded
from toolbench.apis.values import read_json
from toolbench.digests import digest
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, ApiCall

Example = Any
"""A response as the teacher is shown it: a JSON object or list, shortened."""

_SHOWN_TOKENS = 1000
"""Tokens of one example."""
_LOOKED_AT = 20
"""Responses of one API that searches got and that are looked at."""


def known(api: Api, recorded: Recorded | None, limit: int, most: int) -> list[Example]:
    """At most `most` responses of more than `limit` tokens, from the recorded calls and the API's documentation."""
    return _shown(_known(api, recorded), limit, most)


def called(lake: Lake, view: Snapshot, limit: int, most: int) -> dict[str, list[Example]]:
    """The same from the calls that searches made, by API id, for every API that has any."""
    responses: dict[str, list[str]] = {}
    for entry in view.entries(ApiCall.TABLE):
        table = lake.table(entry, ApiCall).select(["api_id", "status", "response"])
        # In bytes there are never fewer than tokens: most calls are passed over here.
        long = pc.and_(pc.equal(table["status"], 0), pc.greater(pc.binary_length(table["response"]), limit))
        found = table.filter(long).to_pydict()
        for api_id, response in zip(found["api_id"], found["response"], strict=True):
            texts = responses.setdefault(api_id, [])
            texts.append(response)
            if len(texts) > 2 * _LOOKED_AT:
                texts[:] = _first(texts)
    shown = {api: _shown(map(_read, _first(texts)), limit, most) for api, texts in responses.items()}
    return {api: examples for api, examples in shown.items() if examples}


def _known(api: Api, recorded: Recorded | None) -> Iterator[Any]:
    for _, response in recorded.examples(api) if recorded else ():
        if response.status == 0:
            yield response.response
    if api.response_example is not None:
        yield _read(api.response_example)


def _first(texts: Iterable[str]) -> list[str]:
    """Some of the texts, the same ones in whatever order searches got them."""
    return sorted(set(texts))[:_LOOKED_AT]


def _read(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        return None


def _shown(responses: Iterable[Any], limit: int, most: int) -> list[Example]:
    """Those of the responses that are long and have keys, each once, shortened."""
    found: dict[str, Example] = {}
    for response in responses:
        if len(found) < most and not fits(response, limit) and paths(value := unpacked(response)):
            found.setdefault(digest(value), _writable(compress(value, (), _SHOWN_TOKENS)))
    return list(found.values())


def _writable(value: Any) -> Any:
    """The value with `?` for half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def documentation(api: Api) -> dict[str, Any]:
    """What the teacher reads about an API; credentials are left out."""
    parameters = [{"name": p.shown_as, "description": p.description} for p in api.parameters if not p.secret]
    return {
        "name": api.function,
        "tool": api.tool,
        "category": api.category,
        "description": json.loads(api.definition)["description"],
        "parameters": parameters,
    }
