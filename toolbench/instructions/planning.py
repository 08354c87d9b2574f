"""Which combinations to write instructions for, cut into shards.

A combination whose APIs are what they were stays, night after night, in the shard it is in: what was written for it was
paid for. New ones are drawn first for APIs that were added or changed, then up to the number wanted.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from toolbench import prompts
from toolbench.digests import digest
from toolbench.instructions import judging, language, prompting
from toolbench.instructions.coverage import Coverage, coverage
from toolbench.instructions.sampling import allocate, sample, topic_seed, windows
from toolbench.lake import Entry, Lake, Partition, Snapshot, Spec, labels
from toolbench.records import Api, Combination, Group, Verdict
from toolbench.settings import Settings
from toolbench.world import chat_identity

STAGE = "instructions"
_ROOM = "toolbench.instructions"
VERSION = 2
"""Raised when `generate` would write other rows from the same specification."""

Topics = dict[tuple[Group, str], list[Api]]
"""The APIs of every category (I1, I2) and collection (I3)."""


def plan(
    lake: Lake,
    view: Snapshot,
    settings: Settings,
    *,
    categories: Sequence[str],
    collections: bool = True,
    base: Snapshot | None = None,
) -> list[Spec]:
    """Shard specifications for the wanted number of instructions over the APIs of `categories`, retired ones left out.

    `collections`: False leaves out I3, whose collections reach into other categories. `base`: the snapshot before this
    run, whose combinations stay where they can; without it `view` is taken for it.

    Raises UsageError for a language that cannot be told.
    """
    base = base or view
    language.code(settings.instructions.language)  # a wrong one is said before anybody is asked
    entries = _entries(view, categories)
    topics = _topics(_apis(lake, view, entries), settings, collections)
    before = {e.path: e for e in base.entries("apis")}
    fresh = _fresh(lake, [e for e in entries if e.path not in before], before.values())
    kept = {key: _kept(lake, base, _partition(*key), members, settings.seed) for key, members in topics.items()}

    def draw(key: tuple[Group, str], count: int) -> list[Combination]:
        before = [c for shard in kept[key] for c in shard]
        return before + _new(*key, topics[key], settings.seed, count, before, fresh)

    total = -(-settings.instructions.total // settings.instructions.per_combination)
    size = max(1, settings.work.shard_size // settings.instructions.per_combination)
    specs: list[Spec] = []
    for key, drawn in _drawn(topics, total, draw).items():
        members, partition = topics[key], _partition(*key)
        new = drawn[sum(map(len, kept[key])) :]
        shards = kept[key] + [new[i : i + size] for i in range(0, len(new), size)]
        inputs = {"apis": [e for e in entries if e.partition["category"] in {a.category for a in members}]}
        earlier = base.shards("combinations", partition)
        specs += _specs(partition, shards, {a.id: a for a in members}, settings, inputs, earlier)
    return specs


def preview(
    lake: Lake, view: Snapshot, settings: Settings, *, categories: Sequence[str], count: int
) -> tuple[list[Combination], list[Coverage]]:
    """The first `count` combinations that would be drawn for an empty lake, and what they cover; nobody is asked."""
    topics = _topics(_apis(lake, view, _entries(view, categories)), settings, collections=True)
    found = _drawn(topics, count, lambda key, share: _new(*key, topics[key], settings.seed, share, [], set()))
    drawn = [combination for combinations in found.values() for combination in combinations]
    return drawn, coverage(topics, drawn)


def _partition(group: Group, topic: str) -> Partition:
    return {"group": group, "collection" if group == "I3" else "category": topic}


def _entries(view: Snapshot, categories: Sequence[str]) -> list[Entry]:
    """The files of APIs; APIs that came with a file of instructions are there for these alone."""
    return [e for e in view.entries("apis") if e.partition["category"] in categories and "source" in e.partition]


def _apis(lake: Lake, view: Snapshot, entries: Sequence[Entry]) -> list[Api]:
    """The APIs that may be sampled. Two sources may carry the same one; one of them is enough."""
    tables = (lake.table(entry, Verdict) for entry in view.entries(Verdict.TABLE))
    retired = {name for table in tables for name in table.filter(table["retired"])["id"].to_pylist()}
    return sorted({a.id: a for a in lake.read(entries, Api) if a.id not in retired}.values(), key=lambda a: a.id)


def _fresh(lake: Lake, new: Sequence[Entry], before: Collection[Entry]) -> set[str]:
    """Ids of the APIs that were added or changed since; none if there was nothing before."""
    if not new or not before:
        return set()
    categories = {e.partition["category"] for e in new}
    was = lake.digests([e for e in before if e.partition["category"] in categories], Api)
    return {name for name, content in lake.digests(new, Api).items() if was.get(name) != content}


def _topics(apis: Sequence[Api], settings: Settings, collections: bool) -> Topics:
    """The APIs of every category (I1, I2) and collection (I3) that has enough tools.

    As in the paper (section 3.3) an unseen tool is met in I1 only, an unseen category in I1 and I2: one held-out tool
    among several would take the whole combination away from training.
    """
    topics: Topics = {}
    for api in apis:
        keys: list[tuple[Group, str]] = [("I1", api.category)]
        if api.split != "tool":
            keys.append(("I2", api.category))
        if api.split == "train" and collections:
            keys += [("I3", collection) for collection in api.collections]
        for key in keys:
            if key[0] in settings.instructions.groups:
                topics.setdefault(key, []).append(api)
    return {
        key: members
        for key, members in sorted(topics.items())
        if key[0] == "I1" or len({a.tool_id for a in members}) >= 2
    }


def _drawn(
    topics: Topics, total: int, draw: Callable[[tuple[Group, str], int], list[Combination]]
) -> dict[tuple[Group, str], list[Combination]]:
    """`total` combinations, if there are as many: what a topic cannot give the others do."""
    shares = _allotted(topics, total)
    found = {key: draw(key, share) for key, share in shares.items()}
    while (missing := total - sum(map(len, found.values()))) > 0:
        able = {key: len(topics[key]) for key in topics if len(found[key]) >= shares[key]}
        if not able:
            break
        for key, more in allocate(able, missing).items():
            shares[key] = len(found[key]) + more
            found[key] = draw(key, shares[key]) if more else found[key]
    return found


def _allotted(topics: Topics, total: int) -> dict[tuple[Group, str], int]:
    """Groups get equal shares, topics by the square roots of their sizes: rare ones are not starved.

    Where the share of I1 is enough to have every API in a combination, every topic gets as many as that takes.
    """
    by_group = allocate(dict.fromkeys(sorted({g for g, _ in topics}), 1), total)
    shares: dict[tuple[Group, str], int] = {}
    for group, count in by_group.items():
        mine = {key: members for key, members in topics.items() if key[0] == group}
        floors = {key: _windows(members) for key, members in mine.items()} if group == "I1" else None
        shares |= allocate({key: len(members) for key, members in mine.items()}, count, floors)
    return {key: shares[key] for key in topics}


def _windows(members: Sequence[Api]) -> int:
    """I1 combinations it takes to cover all these APIs."""
    by_tool: dict[str, int] = {}
    for api in members:
        by_tool[api.tool_id] = by_tool.get(api.tool_id, 0) + 1
    return sum(windows(count) for count in by_tool.values())


def _kept(
    lake: Lake, base: Snapshot, partition: Partition, members: Sequence[Api], seed: int
) -> list[list[Combination]]:
    """The combinations of the last time, drawn by the same seed, whose APIs are as they were, in their shards."""

    apis = {a.id: a for a in members}

    def stays(c: Combination) -> bool:
        drawn_by = topic_seed(seed, c.group, c.category, c.collection)
        return c.seed == drawn_by and c.content != "" and c.content == _content(c.apis, apis)

    shards = []
    for entry in base.entries(Combination.TABLE):
        if entry.partition == partition:
            shards.append([dataclasses.replace(c, spec="") for c in lake.read([entry], Combination) if stays(c)])
    return [shard for shard in shards if shard]


def _new(
    group: Group,
    topic: str,
    members: Sequence[Api],
    seed: int,
    count: int,
    kept: Sequence[Combination],
    fresh: Collection[str],
) -> list[Combination]:
    """Combinations for APIs that are fresh, and those still missing to `count`."""
    apis = {a.id: a for a in members}
    mine = {api for api in fresh if api in apis}
    known = {c.id for c in kept}
    found: list[Combination] = []

    def take(most: int, fresh: Collection[str]) -> None:
        where = {"collection" if group == "I3" else "category": topic}
        for drawn in sample(members, group, **where, seed=seed, fresh=fresh):
            if len(found) >= most:
                return
            if drawn.id not in known:
                known.add(drawn.id)
                found.append(dataclasses.replace(drawn, content=_content(drawn.apis, apis)))

    if mine and kept:
        # As large a part of the share as the fresh APIs are of the topic.
        take(-(-count * len(mine) // len(members)), mine)
    take(max(count - len(kept), len(found)), ())
    return found


def _content(names: Sequence[str], apis: Mapping[str, Api]) -> str:
    """The digest of what some APIs are; empty if one of them is gone."""
    return digest([apis[name].digest for name in names]) if all(name in apis for name in names) else ""


def _specs(
    partition: Partition,
    shards: Sequence[Sequence[Combination]],
    apis: Mapping[str, Api],
    settings: Settings,
    inputs: dict[str, Any],
    earlier: list[str],
) -> Iterator[Spec]:
    wanted = settings.instructions
    for label, chunk in zip(labels(partition, len(shards)), shards, strict=True):
        used = sorted({api for c in chunk for api in c.apis})
        yield Spec(
            stage=STAGE,
            label=label,
            partition=partition,
            records=[c.id for c in chunk],
            content=digest({api: apis[api].digest for api in used}),
            params={
                "version": VERSION,
                **chat_identity(settings),
                "prompts": prompting.digests(partition["group"] != "I1"),
                "language": wanted.language,
                "judge_values": prompts.load(_ROOM, judging.PROMPT).digest if wanted.judge_values else "",
                "per_combination": wanted.per_combination,
                "words": [wanted.min_words, wanted.max_words],
                "holdout": wanted.holdout,
                "seed": settings.seed,
                "combinations": [dataclasses.asdict(c) for c in chunk],
            },
            inputs=inputs,
            earlier=earlier,
            size=len(chunk),
        )
