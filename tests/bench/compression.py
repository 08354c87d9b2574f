"""What response compression saves on the recorded responses, and what it keeps whole.

    python tests/bench/compression.py [--responses PATH] [--limits 2048 512 256]

`--responses`: a folder or tarball in StableToolBench's layout; without it `tool_response_cache.tar.gz` in the folder
that TOOLBENCH_TEST_DATA names, or in ../shared/data. For every limit three ways of shortening are measured over all
recorded calls: ToolBench's plain truncation of the envelope at 1024 characters, ours without keys, and ours with the
keys that the offline teacher names for the APIs that have responses over the limit.
"""

import argparse
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from toolbench import tokens
from toolbench.apis.compress import compress, fits, paths, unpacked
from toolbench.records import Response
from toolbench.teacher.offline.keys import keys

CHARACTERS = 1024
"""ToolBench's `max_observation_length`."""
EXAMPLES = 3

Calls = Mapping[str, list[Response]]


def main() -> None:
    """Print one table for each limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--responses", type=Path, default=_default())
    parser.add_argument("--limits", type=int, nargs="+", default=[2048, 512, 256])
    wanted = parser.parse_args()
    if not wanted.responses.exists():
        raise SystemExit(f"{wanted.responses} does not exist: set TOOLBENCH_TEST_DATA or give --responses.")
    started = time.perf_counter()
    tokens.count("the tokenizer is loaded")
    print(f"tokenizer loaded in {time.perf_counter() - started:.2f} s")
    calls = _read(wanted.responses)
    responses = [response for of_api in calls.values() for response in of_api]
    before = sum(tokens.count(response.envelope) for response in responses)
    print(f"{len(calls)} APIs, {len(responses)} calls, {before} tokens\n")
    for limit in wanted.limits:
        _table(calls, before, limit)


def _default() -> Path:
    folder = os.environ.get("TOOLBENCH_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data"
    return Path(folder) / "tool_response_cache.tar.gz"


def _read(place: Path) -> Calls:
    """All recorded calls by file, the files in order of their names."""
    return {
        name: [Response(error=str(e.get("error") or ""), response=e.get("response", "")) for e in calls.values()]
        for name, calls in sorted(_files(place))
    }


def _files(place: Path) -> Iterator[tuple[str, Any]]:
    if place.is_dir():
        for path in place.rglob("*.json"):
            yield path.relative_to(place).as_posix(), json.loads(path.read_bytes())
        return
    with tarfile.open(place) as archive:
        for member in archive:
            data = archive.extractfile(member) if member.name.endswith(".json") else None
            if data:
                yield member.name, json.loads(data.read())


def _table(calls: Calls, before: int, limit: int) -> None:
    count = sum(map(len, calls.values()))
    long = {api: [r.response for r in rs if not fits(r.response, limit)] for api, rs in calls.items()}
    long = {api: found for api, found in long.items() if found}
    named = {api: _named(found) for api, found in long.items()}
    total = sum(map(len, long.values()))
    print(f"limit {limit} tokens: {total} responses of {len(long)} APIs are longer ({total / count:.2%} of calls)")
    print(f"{'':34}{'tokens':>10}{'saved':>8}{'shown cut':>11}{'broken JSON':>13}{'over':>6}{'seconds':>9}")
    ways: dict[str, Callable[[str, Response], str]] = {
        f"plain, {CHARACTERS} characters": lambda _, r: _plain(r),
        f"compressed to {limit}, no keys": lambda _, r: _compressed(r, [], limit),
        f"compressed to {limit}, keys": lambda api, r: _compressed(r, named.get(api, []), limit),
    }
    for name, shorten in ways.items():
        _row(name, calls, shorten, before, limit if name.startswith("compressed") else None)
    print()


def _row(name: str, calls: Calls, shorten: Callable[[str, Response], str], before: int, limit: int | None) -> None:
    started = time.perf_counter()
    shown = [(response, shorten(api, response)) for api, of_api in calls.items() for response in of_api]
    seconds = time.perf_counter() - started
    after = sum(tokens.count(text) for _, text in shown)
    cut = sum(text != response.envelope for response, text in shown)
    broken = sum(_broken(text) for _, text in shown)
    over = sum(not fits(json.loads(text)["response"], limit) for _, text in shown) if limit else 0
    share = f"{broken} ({broken / len(shown):.1%})"
    print(f"{name:34}{after:>10}{1 - after / before:>8.1%}{cut:>11}{share:>13}{over:>6}{seconds:>9.2f}")


def _named(found: list[Any]) -> list[str]:
    """The offline teacher's keys for an API, by examples as the stage shows them."""
    shown = [compress(value, (), 1000) for value in map(unpacked, found) if paths(value)][:EXAMPLES]
    return keys({"responses": shown})


def _plain(response: Response) -> str:
    text = response.envelope
    return text if len(text) <= CHARACTERS else text[:CHARACTERS] + "..."


def _compressed(response: Response, wanted: list[str], limit: int) -> str:
    short = {"error": response.error, "response": compress(response.response, wanted, limit)}
    return json.dumps(short, ensure_ascii=False)


def _broken(text: str) -> bool:
    """Whether a text was cut in the middle of its JSON."""
    try:
        json.loads(text)
    except ValueError:
        return True
    return False


if __name__ == "__main__":
    main()
