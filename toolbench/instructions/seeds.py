"""Seeds: sample APIs with requests for them, written by hand, that show a teacher what a good instruction is.

ToolLLM (section 2.2) has 12 for single-tool and 36 for multi-tool instructions. Their tools exist nowhere, so that no
seed can be mistaken for a sampled API.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from toolbench.digests import digest


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks for, and the names of the APIs that are needed for it."""

    text: str
    relevant: tuple[str, ...]
    values: Mapping[str, str]
    """Parameter → the words of `text` that give its value; for checks, not shown to a teacher."""


@dataclass(frozen=True, slots=True)
class Seed:
    """APIs, documented as sampled ones are, and two or three requests for them."""

    apis: tuple[Mapping[str, Any], ...]
    """`{"name", "tool", "category", "description", "parameters": [{"name", "type", "required", "description"}]}`"""
    requests: tuple[Request, ...]


@cache
def load(multi: bool) -> tuple[Seed, ...]:
    """All seeds for multi-tool instructions, or all for single-tool ones, in the order of their file."""
    return tuple(_seed(entry) for entry in _entries(multi))


def draw(multi: bool, seed: int, count: int = 3) -> list[Seed]:
    """`count` different seeds at random, all of them if there are fewer; the same `seed` gives the same ones."""
    pool = load(multi)
    return random.Random(seed).sample(pool, min(count, len(pool)))


@cache
def data_digest(multi: bool) -> str:
    """16 hex digits over the seeds' data."""
    return digest(_entries(multi))


@cache
def _entries(multi: bool) -> Sequence[Mapping[str, Any]]:
    source = files("toolbench.instructions").joinpath("seeds", "multi.json" if multi else "single.json")
    entries: list[dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
    return entries


def _seed(entry: Mapping[str, Any]) -> Seed:
    requests = (Request(i["instruction"], tuple(i["relevant_apis"]), i["values"]) for i in entry["instructions"])
    return Seed(tuple(entry["apis"]), tuple(requests))
