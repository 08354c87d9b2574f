"""Scenes: who asks and why, in short sentences with a concrete detail each, so that hardly two are alike."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

_GENERAL = 0.4
"""How often an opening that suits any topic is taken although there are some for the topic at hand."""


@cache
def _lists() -> dict[str, Any]:
    """`scenes.json`: `openings` by a pattern of topics, `details`, `closings`, and the words for their gaps."""
    loaded: dict[str, Any] = json.loads(files("toolbench.teacher.offline").joinpath("scenes.json").read_text("utf-8"))
    return loaded


def opening(topic: str, rng: Random) -> str:
    """A first sentence that suits a topic."""
    groups: Mapping[str, list[str]] = _lists()["openings"]
    fitting = [
        scene
        for pattern, group in groups.items()
        if pattern and re.search(pattern, topic, re.IGNORECASE)
        for scene in group
    ]
    return _filled(groups[""] if not fitting or rng.random() < _GENERAL else fitting, rng)


def detail(rng: Random) -> str:
    """A second sentence."""
    return _filled(_lists()["details"], rng)


def closing(rng: Random) -> str:
    """A last sentence."""
    return _filled(_lists()["closings"], rng)


def _filled(templates: Sequence[str], rng: Random) -> str:
    template = rng.choice(templates)
    return re.sub(r"\{(\w+)\}", lambda gap: str(rng.choice(_lists()[gap.group(1)])), template)
