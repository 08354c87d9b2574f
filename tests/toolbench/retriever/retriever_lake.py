"""A small lake with APIs, retrieval pairs and verdicts, and encoders for it."""

from collections.abc import Sequence
from typing import Any

from workshop import a_tool, an_api

from toolbench.documents import document
from toolbench.lake import Draft, Lake, Snapshot, Spec
from toolbench.records import Api, RetrievalPair, Split, Tool, Verdict, VerdictName

TOPICS = {"rain": "weather", "phase": "moon", "rate": "tax income", "lyrics": "song artist"}
CATEGORIES = {"rain": "Weather", "phase": "Astronomy", "rate": "Finance", "lyrics": "Music"}
OPENINGS = ("find", "please find", "find the", "please", "please find the", "for the city find")


def apis() -> list[Api]:
    """One API a topic, each of a tool and a category of its own."""
    return [
        an_api(name.title(), name, category=CATEGORIES[name], description=f"{topic} {name}")
        for name, topic in TOPICS.items()
    ]


def pairs(found: Sequence[Api], split: Split, ending: str) -> list[RetrievalPair]:
    """Queries that name each API's topic, one an opening."""
    made: dict[str, Any] = {"group": "I1", "collection": "", "model": "none", "split": split}
    return [
        RetrievalPair(
            id=f"{split}/{n}/{api.id}", query_id=f"{split}/{n}/{api.id}", query=f"{opening} {topic}{ending}",
            api_id=api.id, document=document(api), category=api.category, **made,
        )
        for api, topic in zip(found, TOPICS.values(), strict=True)
        for n, opening in enumerate(OPENINGS)
    ]  # fmt: skip


def verdict(api: Api, name: VerdictName, retired: bool = False) -> Verdict:
    """What screening found out about an API."""
    return Verdict(
        id=api.id, tool_id=api.tool_id, category=api.category, verdict=name, reason="", evidence="[]", calls=0,
        night="2025-01-01", retired=retired,
    )  # fmt: skip


def published(lake: Lake, found: Sequence[Api], more: Sequence[RetrievalPair | Verdict] = ()) -> Snapshot:
    """A snapshot with these APIs in place of those before."""
    rows: dict[Any, list[Any]] = {Api: list(found), Tool: list({a.tool_id: a_tool(a) for a in found}.values())}
    for row in more:
        rows.setdefault(type(row), []).append(row)
    content = "/".join(f"{a.id}{a.description}" for a in found)
    spec = Spec(stage="test", label="", partition={"source": "t"}, records=[], content=content, params={})
    draft = Draft()
    draft.add([lake.finish(spec, rows, taken_in=0, passed_on=0)], tuple(kind.TABLE for kind in rows))
    return lake.publish(draft, "test")
