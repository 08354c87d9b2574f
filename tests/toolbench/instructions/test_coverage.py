"""The coverage table."""

from itertools import islice

from workshop import an_api

from toolbench.instructions.coverage import Coverage, coverage
from toolbench.instructions.sampling import sample


def test_each_topic_is_counted_for_itself() -> None:
    apis = [an_api(f"T{tool}", f"a{number}") for tool in range(3) for number in range(2)]
    topics = {("I1", "Weather"): apis, ("I2", "Weather"): apis, ("I3", "Sky"): apis[:4]}
    dealt = [
        *islice(sample(apis, "I1", category="Weather", seed=1), 2),
        *sample(apis, "I2", category="Weather", seed=1),
    ]
    single, several, none = coverage(topics, iter(dealt))  # type: ignore[arg-type]
    assert single == Coverage("I1", "Weather", 2, 4, 6, 2, 3, 0, 0), "two windows of two APIs each"
    assert (several.apis, several.of_apis, several.tools, several.pairs, several.of_pairs) == (6, 6, 3, 3, 3)
    assert none == Coverage("I3", "Sky", 0, 0, 4, 0, 2, 0, 1)
