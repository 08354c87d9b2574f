"""Which of several endpoints a request goes to."""

import math
from collections.abc import Mapping

from toolbench.digests import draw
from toolbench.settings import OPENAI, TeacherSettings


def urls(base_url: str, endpoints: Mapping[str, float]) -> dict[str, float]:
    """Weights by address: `base_url`, if it is given, counts 1 unless it is named among `endpoints`."""
    weights = {base_url: 1.0} if base_url or not endpoints else {}
    return {**weights, **endpoints}


def weights(settings: TeacherSettings) -> dict[str, float]:
    """Weights by address, OpenAI's own where settings name none; the teacher's main address comes first."""
    return {url or OPENAI: weight for url, weight in urls(settings.base_url, settings.endpoints).items()}


def order(weights: Mapping[str, float], name: str) -> list[str]:
    """The addresses in the order of preference of the request called `name`.

    Weighted rendezvous hashing: the first place falls to each by its weight, is the same for the same name always, and
    changes for no other request when an endpoint is added or taken away than for those that move to or from it.
    """
    return sorted(weights, key=lambda url: -math.log(1.0 - draw(url, name)) / weights[url])
