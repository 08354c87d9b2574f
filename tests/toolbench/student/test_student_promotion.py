"""Which student serves, and what is said of it."""

from pathlib import Path

import pytest

from toolbench.lake import Lake, ModelEntry
from toolbench.promotion import Decision
from toolbench.statistics import Estimate
from toolbench.student import MODEL
from toolbench.student.promotion import NEWEST, decide, models, recorded

WORSE, EVEN = Estimate(-0.2, -0.3, -0.1, 40, 40), Estimate(-0.05, -0.2, 0.1, 40, 40)


@pytest.mark.parametrize(
    ("previous", "gain", "serves", "sentence"),
    [
        ("", None, "new", "new serves: no instructions are held out to compare it with its base."),
        ("old", None, "new", "new serves: no instructions are held out to compare it with old."),
        ("new", None, "new", "new serves, as before."),
        (
            "old", EVEN, "new",
            "new serves in place of old: pass rate -5.0 points (-20.0 to +10.0) on 40 held-out instructions.",
        ),
        (
            "old", WORSE, "old",
            "old goes on serving: new is worse than old beyond the interval, pass rate -20.0 points (-30.0 to -10.0) "
            "on 40 held-out instructions.",
        ),
        (
            "", WORSE, "",
            "No model serves: new is worse than its base beyond the interval, pass rate -20.0 points (-30.0 to "
            "-10.0) on 40 held-out instructions.",
        ),
    ],
    ids=["first", "nothing held out", "again", "even", "worse", "worse than its base"],
)  # fmt: skip
def test_the_newest_serves_unless_it_is_worse(previous: str, gain: Estimate | None, serves: str, sentence: str) -> None:
    decision = decide("new", previous, gain)
    assert (decision.serves, decision.promoted, decision.sentence()) == (serves, serves == "new", sentence)


def test_the_card_tells_the_newest_decision_and_older_snapshots_keep_theirs(lake: Lake, tmp_path: Path) -> None:
    def decided(entry: ModelEntry, decision: Decision, solved: int, folder: str) -> ModelEntry:
        figures = {"method": "react", "solved": solved, "queries": 9, "pass_rate": "50%", "judge": "abc"}
        return recorded(lake, entry, lake.get_model(entry, tmp_path / folder), decision, {"trained": figures})

    made = tmp_path / "made"
    made.mkdir()
    (made / "README.md").write_text("# Student\n\nOurs.\n")
    (made / "adapter.bin").write_bytes(b"weights")
    first = lake.put_model(MODEL, "new", made, {"loss": 1.5})
    one = decided(first, decide("new", "", EVEN), 4, "one")
    two = decided(one, decide("new", "old", WORSE), 3, "two")
    assert one.spec == two.spec == "new"
    assert two.metrics["loss"] == 1.5
    assert two.metrics["decision"]["promoted"] is False
    cards = [(lake.get_model(e, tmp_path / n) / "README.md").read_text() for e, n in ((one, "1"), (two, "2"))]
    assert all(card.startswith("# Student\n\nOurs.\n\n## ToolEval\n\n") for card in cards)
    assert [card.count("## ToolEval") for card in cards] == [1, 1]
    assert "| trained | react | 4 of 9 | 50% | abc |" in cards[0]
    assert "old goes on serving" in cards[1]
    assert (tmp_path / "2" / "adapter.bin").read_bytes() == b"weights"
    assert models(two, decide("new", "old", WORSE), one) == {NEWEST: two, MODEL: one}
    assert models(two, decide("new", "", WORSE), None) == {NEWEST: two}
