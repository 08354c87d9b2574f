"""Categories for tools whose source names none."""

import math
import random
from dataclasses import replace
from string import ascii_lowercase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolbench.catalogue import infer
from toolbench.catalogue.categories import topics
from toolbench.catalogue.drafts import ApiDraft, Reading, ToolDraft
from toolbench.catalogue.infer import fill, identity_of
from toolbench.encoder import Encoder
from toolbench.errors import ToolbenchError
from toolbench.records import Reject


def api(name: str, description: str = "", tags: tuple[str, ...] = ()) -> ApiDraft:
    return ApiDraft(
        name=name,
        description=description,
        method="GET",
        url="",
        parameters=(),
        response_schema=None,
        response_example=None,
        pointer="",
        tags=tags,
    )


def tool(title: str, description: str = "", *apis: ApiDraft, category: str = "", locator: str = "") -> ToolDraft:
    return ToolDraft(
        name=title,
        title=title,
        description=description,
        category=category,
        base_url="",
        origin="openapi",
        locator=locator or f"{title}.json",
        apis=apis,
    )


def reject(category: str = "") -> Reject:
    return Reject(id="r", stage="catalogue", record_id="x", reason="broken", detail="", category=category)


RAIN = tool("Sky Watch", "Forecasts of rain and wind for the next days")
TUNE = tool("Jukebox", "", api("getLyricsBySong", "The lyrics of a song"), api("playlists", tags=("artists",)))
BLANK = tool("Qwrtz", "Zxcvb")
WORDS = st.sampled_from(["rain", "song", "hotel", "recipe", "invoice", "the", "goal", "Größe", "天气"])
TEXTS = st.lists(WORDS, max_size=5).map(" ".join)
DRAFTS = st.builds(
    lambda title, text, names, category, folder: tool(
        title or "x", text, *map(api, names), category=category, locator=f"{folder}/doc.json"
    ),
    TEXTS,
    TEXTS,
    st.lists(TEXTS, max_size=3),
    st.sampled_from(["", "Own"]),
    st.sampled_from(["a", "b"]),
)
READINGS = st.lists(
    st.builds(Reading, st.lists(DRAFTS, max_size=3), st.lists(st.builds(reject, st.sampled_from(["", "Own"])))),
    max_size=6,
)


@pytest.fixture
def by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without a sentence encoder."""
    monkeypatch.setattr(infer, "installed", lambda: False)


@pytest.mark.usefixtures("by_words")
@pytest.mark.parametrize(
    ("draft", "category"),
    [
        (RAIN, "Weather"),
        (TUNE, "Music"),
        (BLANK, "Other"),
        (tool("GlobalWine"), "Food"),
        (tool("YouTube"), "Media"),
        (
            tool("x", "", *[api(f"unrelated{c}") for c in ascii_lowercase], api("vaccine patient")),
            "Medical",
        ),
    ],
)
def test_the_nearest_category_is_found_and_marked(draft: ToolDraft, category: str) -> None:
    (reading,) = fill([Reading([draft])])
    assert reading.tools == [replace(draft, category=category, category_inferred=True)]


@pytest.mark.usefixtures("by_words")
def test_every_category_but_other_is_the_nearest_to_its_own_description() -> None:
    drafts = [tool(name.replace("_", " "), topic["description"]) for name, topic in topics().items() if name != "Other"]
    assert infer.nearest(drafts) == [name for name in topics() if name != "Other"]


@pytest.mark.usefixtures("by_words")
def test_a_category_that_is_named_stays_and_is_not_marked() -> None:
    own = replace(RAIN, category="Zoo")
    assert fill([Reading([own], [reject()])]) == [Reading([own], [reject("Zoo")])]


@pytest.mark.usefixtures("by_words")
def test_rejects_follow_their_only_tool() -> None:
    one, two, none = fill(
        [Reading([RAIN], [reject(), reject("Own")]), Reading([RAIN, TUNE], [reject()]), Reading([], [reject()])]
    )
    assert [r.category for r in one.rejects] == ["Weather", "Own"]
    assert [r.category for r in two.rejects] == [r.category for r in none.rejects] == [""]


def test_what_was_inferred_earlier_stays_and_nothing_is_loaded_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer, "installed", lambda: pytest.fail("an encoder was looked for"))
    earlier = {identity_of(RAIN): "Travel", identity_of(TUNE): "Food"}
    reworded = replace(RAIN, description="Songs", locator="elsewhere.json")
    (reading,) = fill([Reading([reworded, TUNE, replace(BLANK, category="Zoo")])], earlier)
    assert [(t.category, t.category_inferred) for t in reading.tools] == [
        ("Travel", True),
        ("Food", True),
        ("Zoo", False),
    ]


def test_an_identity_is_the_same_wherever_the_document_lies_and_differs_between_tools() -> None:
    drafts = [replace(RAIN, locator=place) for place in ("a/b/c.json", "https://example.org/x/b/c.json", "b/c.json")]
    assert len({identity_of(d) for d in drafts}) == 1
    others = [replace(RAIN, base_url="https://x.test"), replace(RAIN, name="x"), replace(RAIN, origin="mcp")]
    assert len({identity_of(d) for d in [RAIN, *others]}) == 4


@pytest.mark.usefixtures("by_words")
def test_an_empty_category_known_from_earlier_counts_for_nothing() -> None:
    assert fill([Reading([RAIN])], {identity_of(RAIN): ""})[0].tools[0].category == "Weather"


def test_no_encoder_is_loaded_where_every_tool_has_a_category_or_shares_no_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(infer, "installed", lambda: pytest.fail("an encoder was looked for"))
    (reading,) = fill([Reading([replace(RAIN, category="Zoo"), BLANK])])
    assert [t.category for t in reading.tools] == ["Zoo", "Other"]


def test_an_encoder_that_cannot_be_loaded_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Encoder:
        raise ToolbenchError("torch is damaged")

    monkeypatch.setattr(infer, "installed", lambda: True)
    monkeypatch.setattr(Encoder, "load", broken)
    assert infer.scored([RAIN, TUNE]) == [infer.by_bm25(RAIN), infer.by_bm25(TUNE)]


@pytest.mark.usefixtures("by_words")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(READINGS, st.randoms(use_true_random=False))
def test_every_tool_gets_a_category_and_no_order_decides_which(readings: list[Reading], shuffle: random.Random) -> None:
    before = [Reading(list(r.tools), list(r.rejects)) for r in readings]
    filled = fill(readings)
    assert readings == before
    assert all(t.category in topics() if t.category_inferred else t.category == "Own" for r in filled for t in r.tools)
    assert [[replace(t, category="", category_inferred=False) for t in r.tools] for r in filled] == [
        [replace(t, category="") for t in r.tools] for r in readings
    ]
    inferred = {identity_of(t): t.category for r in filled for t in r.tools if t.category_inferred}
    assert fill(filled) == filled
    assert fill(readings, inferred) == filled
    order = list(range(len(readings)))
    shuffle.shuffle(order)
    shuffled = [Reading(shuffle.sample(r.tools, len(r.tools)), r.rejects) for r in (readings[i] for i in order)]
    again = {identity_of(t): t.category for r in fill(shuffled) for t in r.tools if t.category_inferred}
    assert again == inferred


class Fake(Encoder):
    """Sees one thing: whether a text is about music."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def encode(self, texts, progress=None):  # type: ignore[no-untyped-def]
        import numpy as np

        self.read.extend(texts)
        return np.array([[1.0, 0.0] if "song" in t.lower() else [0.0, 1.0] for t in texts], dtype=np.float32)


def test_meaning_and_words_decide_together() -> None:
    fake = Fake()
    scores = infer.scored([TUNE, BLANK, RAIN], fake)
    assert scores[1] == {}
    assert len(scores[0]) == len(scores[2]) == 48
    assert scores[0]["Music"] == pytest.approx(1.3)
    assert scores[2]["Weather"] == pytest.approx(1.3)
    assert scores[2]["Music"] < 0.3
    # A short description is helped out by the names of the APIs; 48 descriptions and 48 lists of words are read.
    assert fake.read[-2:] == [
        "Jukebox. . get Lyrics By Song, playlists",
        "Sky Watch. Forecasts of rain and wind for the next days. ",
    ]
    assert len(fake.read) == 98


def test_a_real_encoder_gives_every_category_a_cosine_whatever_the_order(tiny_base: str) -> None:
    encoder = Encoder.load(tiny_base, 32)
    scores = infer.by_encoder([RAIN, TUNE], encoder)
    backwards = infer.by_encoder([TUNE, RAIN], encoder)[::-1]
    for one, other in zip(scores, backwards, strict=True):
        assert one.keys() == topics().keys() - {"Other"}
        assert all(math.isfinite(x) and -1.001 <= x <= 1.001 for x in one.values())
        assert one == pytest.approx(other, abs=2e-4)
