"""The seeds: every one keeps the rules that instructions are held to, and draws are even."""

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from workshop import an_api

from toolbench.catalogue.names import standardise
from toolbench.demo import documents
from toolbench.instructions import seeds
from toolbench.instructions.seeds import Request, Seed
from toolbench.records import Api

SEEDS = [(multi, seed) for multi in (False, True) for seed in seeds.load(multi)]
REQUESTS = [(multi, seed, request) for multi, seed in SEEDS for request in seed.requests]
TYPES = {"string", "integer", "number", "boolean", "array"}


def tools(seed: Seed, names: tuple[str, ...] | None = None) -> set[str]:
    """The tools of a seed, or of some of its APIs."""
    return {str(a["tool"]) for a in seed.apis if names is None or a["name"] in names}


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def identifiers(seed: Seed) -> Iterator[str]:
    """What no request may say: tools and APIs, as a document names them and in plain words."""
    for api in seed.apis:
        short = api["name"].removesuffix(f"_for_{standardise(api['tool'])}")
        yield from (api["name"], api["tool"], standardise(api["tool"]))
        if "_" in short:
            yield short


def test_there_are_as_many_seeds_as_the_paper_has() -> None:
    assert (len(seeds.load(False)), len(seeds.load(True))) == (12, 36)


@pytest.mark.parametrize(("multi", "seed"), SEEDS, ids=[str(s.apis[0]["tool"]) for _, s in SEEDS])
def test_the_apis_of_a_seed_are_documented_like_sampled_ones(multi: bool, seed: Seed) -> None:
    assert 2 <= len(seed.apis) <= 5
    assert len(tools(seed)) in ((2, 3, 4) if multi else (1,))
    assert len({a["name"] for a in seed.apis}) == len(seed.apis)
    for api in seed.apis:
        assert set(api) == {"name", "tool", "category", "description", "parameters"}
        assert re.fullmatch(r"[a-z0-9_]{1,64}", api["name"])
        assert api["name"].endswith(f"_for_{standardise(api['tool'])}")
        assert api["description"].endswith(".")
        assert len({p["name"] for p in api["parameters"]}) == len(api["parameters"]) > 0
        for parameter in api["parameters"]:
            assert set(parameter) == {"name", "type", "required", "description"}
            assert parameter["type"] in TYPES
            assert isinstance(parameter["required"], bool)
            assert parameter["description"]


@pytest.mark.parametrize(("multi", "seed"), SEEDS, ids=[str(s.apis[0]["tool"]) for _, s in SEEDS])
def test_the_requests_of_a_seed_differ_and_leave_no_api_out(multi: bool, seed: Seed) -> None:
    sets = [frozenset(r.relevant) for r in seed.requests]
    assert 2 <= len(sets) <= 3
    assert len(set(sets)) == len(sets)
    assert frozenset.union(*sets) == {a["name"] for a in seed.apis}


@pytest.mark.parametrize(("multi", "seed", "request_"), REQUESTS, ids=[r.text[:40] for _, _, r in REQUESTS])
def test_a_request_is_what_a_good_instruction_is(multi: bool, seed: Seed, request_: Request) -> None:
    apis = {str(a["name"]): a for a in seed.apis}
    assert set(request_.relevant) <= set(apis)
    assert len(set(request_.relevant)) == len(request_.relevant) > 0
    assert len(tools(seed, request_.relevant)) >= (2 if multi else 1)
    assert 8 <= len(request_.text.split()) <= 150
    parameters = {p["name"]: p for name in request_.relevant for p in apis[name]["parameters"]}
    assert {name for name, p in parameters.items() if p["required"]} <= set(request_.values) <= set(parameters)
    for name, value in request_.values.items():
        assert value, name
        assert value in request_.text
    assert not re.search(r"\b(APIs?|endpoints?|functions?|parameters?)\b", request_.text, re.IGNORECASE)
    assert not [i for i in identifiers(seed) if i.lower() in request_.text.lower()]


def test_the_filters_of_instructions_would_keep_every_request() -> None:
    from toolbench.instructions import filters

    for multi, seed, request in REQUESTS:
        candidates: dict[str, Api] = {
            a["name"]: an_api(a["tool"], a["name"].partition("_for_")[0], function=a["name"]) for a in seed.apis
        }
        written = filters.Written(request.text, request.relevant)
        assert filters.relevant_apis(written, candidates) is None
        assert filters.several_tools(written, candidates, "I2" if multi else "I1") is None
        assert filters.names_an_api(written, candidates) is None


def test_no_two_requests_share_six_words_in_a_row() -> None:
    first: dict[tuple[str, ...], str] = {}
    for _, _, request in REQUESTS:
        listed = words(request.text)
        for start in range(len(listed) - 5):
            assert first.setdefault(tuple(listed[start : start + 6]), request.text) == request.text


def test_about_three_in_ten_requests_are_long() -> None:
    lengths = sorted(len(r.text.split()) for _, _, r in REQUESTS)
    assert 0.25 <= sum(length > 45 for length in lengths) / len(lengths) <= 0.35
    # Short or long, hardly anything between: a gap where one ends and the other begins.
    assert max(b - a for a, b in pairwise(lengths) if 30 <= a <= 50) >= 5


def test_requests_begin_in_many_ways() -> None:
    openings = Counter(" ".join(words(r.text)[:2]) for _, _, r in REQUESTS)
    assert max(openings.values()) <= 4
    assert len(openings) > 0.75 * len(REQUESTS)


def test_the_seeds_come_from_many_categories() -> None:
    from toolbench.catalogue.infer import topics

    categories = {str(a["category"]) for _, seed in SEEDS for a in seed.apis}
    assert categories <= set(topics())
    assert len(categories) >= 30


def test_no_tool_stands_in_two_seeds_or_in_the_demo_hub() -> None:
    names = [standardise(tool) for _, seed in SEEDS for tool in sorted(tools(seed))]
    assert len(set(names)) == len(names)
    assert not set(names) & {standardise(d["info"]["title"]) for d in documents()}


def test_no_tool_of_the_seeds_is_in_the_crawl(data_dir: Path) -> None:
    ours = {standardise(tool) for _, seed in SEEDS for tool in tools(seed)}
    theirs: set[str] = set()
    with tarfile.open(data_dir / "toolenv.tar.gz") as archive:
        for member in archive:
            if member.name.endswith(".json") and (file := archive.extractfile(member)):
                document = json.loads(file.read())
                names = (document.get(key) for key in ("tool_name", "standardized_name", "title", "name"))
                theirs |= {standardise(n) for n in (*names, Path(member.name).stem) if isinstance(n, str)}
    assert len(theirs) > 10_000
    assert not ours & theirs


@pytest.mark.parametrize("multi", [False, True])
def test_a_draw_is_fixed_by_its_seed_and_has_no_repeats(multi: bool) -> None:
    for seed in range(200):
        drawn = seeds.draw(multi, seed)
        assert drawn == seeds.draw(multi, seed)
        assert len({id(s) for s in drawn}) == 3
    assert len({tuple(id(s) for s in seeds.draw(multi, seed)) for seed in range(200)}) > 150
    assert seeds.draw(multi, 4, 0) == []
    assert len({id(s) for s in seeds.draw(multi, 4, 99)}) == len(seeds.load(multi))


@pytest.mark.parametrize("multi", [False, True])
def test_every_seed_is_drawn_about_as_often_as_any_other(multi: bool) -> None:
    draws = 4000
    counts = Counter(id(s) for seed in range(draws) for s in seeds.draw(multi, seed))
    expected = draws * 3 / len(seeds.load(multi))
    assert len(counts) == len(seeds.load(multi))
    # Chi-squared with 11 or 35 degrees of freedom: 67 is passed by chance once in a thousand times at the most.
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 67
