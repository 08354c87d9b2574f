"""Recorded responses in StableToolBench's layout.

`tool_response_cache/<Category>/<tool>_for_<Category>/<api>.json`, each file a JSON object from the arguments, written
as a Python dict literal, to the envelope `{"error": …, "response": …}`.
"""

import ast
import tarfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from toolbench.apis.values import read_json
from toolbench.digests import canonical, digest
from toolbench.errors import SourceError
from toolbench.records import Api, Response

_Key = tuple[str, str, str]


class Recorded:
    """All recorded responses of one source. Arguments are matched by value, not by spelling."""

    def __init__(self, answers: dict[_Key, dict[str, tuple[str, Any]]], name: str) -> None:
        self._answers = answers
        self.digest = name
        """Content digest of the source."""

    def __len__(self) -> int:
        return sum(len(calls) for calls in self._answers.values())

    async def close(self) -> None:
        """Nothing to close."""

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        """The recorded answer, or None if this call was not recorded."""
        category, tool, name = api.id.split("/")
        found = self._answers.get((category, tool, name), {}).get(_by_value(arguments))
        if found is None:
            return None
        error, response = found
        return Response(error=error, response=response, status=status_of(error), source="recorded")


@lru_cache(maxsize=4)
def load(source: str) -> Recorded:
    """The responses of a folder or `.tar.gz`. Raises SourceError if it cannot be read or holds none.

    A file that is not in the layout, or a call whose arguments are no dict literal, is passed over: there is nothing it
    could answer.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise SourceError(f"--responses {source} does not exist; give a folder or .tar.gz in StableToolBench's layout.")
    answers: dict[_Key, dict[str, tuple[str, Any]]] = {}
    names = []
    for name, data in _files(path):
        category, tool, api = name.parts[-3:]
        try:
            calls = read_json(data)
        except ValueError:
            continue
        if not isinstance(calls, dict):
            continue
        key = (category, tool.removesuffix(f"_for_{category}"), api.removesuffix(".json"))
        answers[key] = dict(_calls(calls))
        names.append((*key, digest(calls)))
    if not answers:
        raise SourceError(f"--responses {source} holds no responses in StableToolBench's layout.")
    return Recorded(answers, digest(sorted(names)))


def status_of(error: str) -> int:
    """The status code of a recorded error text, as ToolBench's tool server words them."""
    text = error.lower()
    if not text:
        return 0
    codes = {
        "timeout": 5, "not working": 6, "not found": 6, "unauthorized": 7, "unsubscribed": 8, "too many": 9,
        "rate limit": 10, "parse error": 2,
    }  # fmt: skip
    return next((code for words, code in codes.items() if words in text), 11)


def _files(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*.json")):
                name = PurePosixPath(file.relative_to(path.parent).as_posix())
                if len(name.parts) >= 3:
                    yield name, file.read_bytes()
            return
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if member.isfile() and name.suffix == ".json" and len(name.parts) >= 3:
                    data = archive.extractfile(member)
                    if data is not None:
                        yield name, data.read()
            # Damage looks like the end to tarfile; reading on to the real end lets gzip compare its checksum.
            while archive.fileobj is not None and archive.fileobj.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise SourceError(f"--responses {path} cannot be read: {error}; give a folder or a .tar.gz.") from None


def _calls(calls: dict[str, Any]) -> Iterator[tuple[str, tuple[str, Any]]]:
    for spelled, envelope in calls.items():
        try:
            arguments = ast.literal_eval(spelled)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(arguments, dict) and isinstance(envelope, dict):
            error = envelope.get("error")
            yield _by_value(arguments), (str(error or ""), envelope.get("response", ""))


def _by_value(arguments: dict[Any, Any]) -> str:
    """5, 5.0 and "5" are the same value in a query string, and so they are here."""

    def plain(value: Any) -> Any:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, str) and value in ("True", "False"):
            return value.lower()
        if isinstance(value, dict):
            return {str(k): plain(v) for k, v in value.items()}
        if isinstance(value, list | tuple | set):
            return [plain(v) for v in value]
        return str(value)

    return canonical(plain(arguments))
