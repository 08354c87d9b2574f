"""Recorded responses: StableToolBench's layout, or our own lakes (see `toolbench.apis.journaled`).

`tool_response_cache/<Category>/<tool>_for_<Category>/<api>.json`, each file a JSON object from the arguments, written
as a Python dict literal, to the envelope `{"error": …, "response": …}`.
"""

import ast
import math
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from toolbench.apis.journaled import calls_of, lake_at
from toolbench.apis.values import read_json
from toolbench.apis.wording import plain, plain_id, safe, status_of
from toolbench.digests import canonical, digest
from toolbench.errors import SourceError
from toolbench.lake import Lake
from toolbench.records import Api, Response

_Call = tuple[dict[str, Any], Response]


class Recorded:
    """All recorded responses of one source. Arguments are matched by value, not by spelling.

    `calls` holds the recorded calls by API: by its id, or by its id without the hashes that tell namesakes apart, for
    those who recorded them knew no such hashes. Namesakes share what was recorded under their name.
    """

    def __init__(self, calls: Mapping[str, Sequence[_Call]], name: str) -> None:
        self._calls = calls
        self._answers = {key: {_by_value(arguments): r for arguments, r in of_api} for key, of_api in calls.items()}
        self.digest = name
        """Content digest of the source."""

    def __len__(self) -> int:
        return sum(len(calls) for calls in self._answers.values())

    async def close(self) -> None:
        """Nothing to close."""

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        """The recorded answer, or None if this call was not recorded.

        Parameters may go by the name on the wire or by the name the function shows, in the call and in the recording.
        """
        answers = self._answers.get(self._key(api), {})
        if not answers:
            return None
        for spelled in _spellings(api, arguments):
            found = answers.get(_by_value(spelled))
            if found is not None:
                return found
        return None

    def examples(self, api: Api) -> list[_Call]:
        """All recorded calls of one API in the order of its file: arguments as recorded, and the answer."""
        return list(self._calls.get(self._key(api), ()))

    def _key(self, api: Api) -> str:
        return next((key for key in _keys(api.id) if key in self._calls), "")


def load(source: str) -> Recorded:
    """The responses of a folder or `.tar.gz`, or of a lake's newest snapshot.

    Raises SourceError if it cannot be read or is no lake and holds none, LakeError for a damaged lake. A file that is
    not in the layout, or a call whose arguments are no dict literal, is passed over: there is nothing it could answer.
    """
    if not source:
        raise SourceError("The chain asks for recorded responses: name them with --responses, or leave `recorded` out.")
    lake = lake_at(source)
    return _of_files(source) if lake is None else _of_lake(lake.uri, max(lake.numbers(), default=0))


@lru_cache(maxsize=4)
def _of_lake(uri: str, number: int) -> Recorded:
    return Recorded(*calls_of(Lake(uri), number))


@lru_cache(maxsize=4)
def _of_files(source: str) -> Recorded:
    path = Path(source).expanduser()
    if not path.exists():
        raise SourceError(
            f"--responses {source} does not exist; give a lake, or a folder or .tar.gz in StableToolBench's layout."
        )
    found: dict[str, list[_Call]] = {}
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
        found["/".join(key)] = list(_calls(calls))
        names.append((*key, digest(calls)))
    if not found:
        raise SourceError(f"--responses {source} is no lake and holds no responses in StableToolBench's layout.")
    return Recorded(found, digest(sorted(names)))


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


def _calls(calls: dict[str, Any]) -> Iterator[_Call]:
    for spelled, envelope in calls.items():
        try:
            arguments = ast.literal_eval(spelled)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(arguments, dict) and isinstance(envelope, dict):
            error = str(envelope.get("error") or "")
            response = Response(
                error=error, response=envelope.get("response", ""), status=status_of(error), source="recorded"
            )
            yield _json_like(arguments), response


def _json_like(value: Any) -> Any:
    """A Python literal as JSON would hold it: tuples and sets become lists; what JSON has not becomes text."""
    if isinstance(value, dict):
        return {str(k): _json_like(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json_like(v) for v in value]
    if isinstance(value, set):
        return [_json_like(v) for v in sorted(value, key=repr)]
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _keys(api_id: str) -> Iterator[str]:
    """The names under which calls of an API may be recorded, the most exact first."""
    yield api_id
    unhashed = plain_id(api_id)
    yield unhashed
    tool, _, name = unhashed.rpartition("/")
    yield f"{tool}/{safe(name)}"


def _spellings(api: Api, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments as given, under the names shown (without hashes), and under the names on the wire."""
    yield arguments
    parameters = {p.name: p for p in api.parameters} | {p.shown_as: p for p in api.parameters}
    known = [(parameters.get(name), name, value) for name, value in arguments.items()]
    for renamed in (
        {plain(p.shown_as) if p else name: value for p, name, value in known},
        {p.name if p else name: value for p, name, value in known},
    ):
        if len(renamed) == len(arguments):
            yield renamed


def _by_value(arguments: dict[Any, Any]) -> str:
    """5, 5.0 and "5" are the same value in a query string, and so they are here."""

    def text(value: Any) -> Any:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, str) and value in ("True", "False"):
            return value.lower()
        if isinstance(value, dict):
            return {str(k): text(v) for k, v in value.items()}
        if isinstance(value, list | tuple | set):
            return [text(v) for v in value]
        return str(value)

    return canonical(text(arguments))
