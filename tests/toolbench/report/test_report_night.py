"""A night as a page of Markdown: what it says, and what it compares."""

import base64
import dataclasses
import io
import json
import re
from typing import Any

from workshop import an_api

from toolbench.lake import Draft, Lake, Outcome, Receipt, Spec, Usage
from toolbench.records import Api
from toolbench.report import night
from toolbench.report.stages import MOST, description, figures
from toolbench.schemas import as_dict

FLOW = "nightly-refresh"


def a_receipt(stage: str, label: str, taken_in: int = 10, **more: Any) -> Receipt:
    group, _, category = label.partition(" ")
    out = taken_in - sum(more.get("reasons", {}).values())
    return Receipt(
        stage=stage, spec=label, label=label, partition={"group": group, "category": category}, taken_in=taken_in,
        passed_on=out, rejected=taken_in - out, **more,
    )  # fmt: skip


def a_night(lake: Lake, name: str, *, flow: str = FLOW, calls: int = 0, left: int = 0, solved: int = 8) -> Any:
    """Publish a night with a shard of solutions; gives the snapshot and its rows of `runs`."""
    api = an_api("Sky", name)
    spec = Spec(stage="solutions", label="I1 Weather 1/1", partition={"group": "I1", "category": "Weather"},
                records=[name], content=name, params={})  # fmt: skip
    receipt = lake.finish(
        spec, {Api: [api]}, taken_in=1, passed_on=1, outcomes={"solved": solved, "gave_up": 10 - solved}
    )
    # Only the receipt is looked at: any file will do as the table's.
    stored = receipt.model_copy(update={"tables": {"solutions": receipt.tables["apis"]}})
    draft = Draft()
    draft.add([stored], ("solutions",))
    outcome = Outcome("solutions", [receipt], 0, 12.0)
    outcome.paid = Usage(calls=calls, input_tokens=100 * calls, cost=0.01 * calls)
    outcome.left, outcome.stopped = [spec] * left, "The budget does not cover any more." if left else ""
    run = outcome.run(flow, "m")
    draft.runs.append(as_dict(run))
    lake.add_runs(draft)
    return lake.publish(draft, flow), [run]


def cells(page: str, first: str) -> list[str]:
    """The cells of the row that starts with `first`."""
    (row,) = (line for line in page.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def test_the_first_night_is_compared_with_nothing(lake: Lake) -> None:
    after, runs = a_night(lake, "one", calls=7)
    page = night.markdown(lake, FLOW, after, runs)
    assert page.startswith("## nightly-refresh: snapshot 1\n\nIt is the first night")
    assert cells(page, "Calls paid for") == ["7", "–", "–"]
    assert cells(page, "Solved") == ["80.0% of 10 (49.0 to 94.3%)", "–", "–"]
    assert "budget" not in page


def test_the_next_one_is_compared_with_the_last_of_the_same_flow(lake: Lake) -> None:
    a_night(lake, "one", calls=7)
    a_night(lake, "two", flow="evaluate", calls=1000)
    after, runs = a_night(lake, "three", calls=10, solved=6)
    page = night.markdown(lake, FLOW, after, runs)
    assert "Last night is snapshot 1 of " in page
    assert cells(page, "Calls paid for") == ["10", "7", "+3"]
    assert cells(page, "Tokens paid for") == ["1,000", "700", "+300"]
    assert cells(page, "Cost") == ["$0.1000", "$0.0700", "+$0.0300"]
    assert cells(page, "Seconds") == ["12", "12", "±0"]
    assert cells(page, "Solved")[2] == "−20.0 points"


def test_a_night_that_changed_nothing_and_one_cut_short_say_so(lake: Lake) -> None:
    after, runs = a_night(lake, "one", calls=3)
    again = [dataclasses.replace(run, started_at="2030-01-01T02:00:00+00:00") for run in runs]
    page = night.markdown(lake, FLOW, after, again)
    assert page.startswith("## nightly-refresh: nothing changed since snapshot 1 of ")
    assert "Last night is snapshot 1" in page
    after, runs = a_night(lake, "two", calls=3, left=4)
    page = night.markdown(lake, FLOW, after, runs)
    assert "> **The budget was used up.** The budget does not cover any more." in page
    assert "Shards left: solutions 4 of 5." in page


def test_manifests_that_were_cleared_away_end_the_comparison(lake: Lake) -> None:
    a_night(lake, "one")
    after, runs = a_night(lake, "two")
    lake.collect_garbage(keep=1)
    assert "It is the first night" in night.markdown(lake, FLOW, after, runs)


def test_plots_are_images_in_the_page_which_stays_small(lake: Lake) -> None:
    from PIL import Image

    a_night(lake, "one")
    page = night.markdown(lake, FLOW, *a_night(lake, "two"))
    found = re.findall(r"!\[[^\]]+\]\(data:image/png;base64,([^)]+)\)", page)
    assert len(found) == 2
    for picture in found:
        assert Image.open(io.BytesIO(base64.b64decode(picture))).width > 400
    assert len(page) < 200_000


# A stage's table


def test_a_stage_is_counted_over_all_by_group_and_by_category() -> None:
    receipts = [
        a_receipt("instructions", "I1 Weather", 10, reasons={"repeat": 1}, usage=Usage(calls=2, input_tokens=5)),
        a_receipt("instructions", "I2 Weather", 20, reasons={"repeat": 2, "leak": 1}, usage=Usage(calls=3, cost=1.5)),
        a_receipt("instructions", "I2 Music", 30),
    ]
    rows = figures(Outcome("instructions", receipts, 0, 1.0))
    assert [row["of"] for row in rows] == ["All", "I1", "I2", "Music", "Weather"]
    assert rows[0] | {"of": ""} == {
        "of": "", "in": 60, "out": 56, "rejected": "leak 1, repeat 3", "pass rate": "93.3% (84.1 to 97.4%)", "calls": 5,
        "tokens": 5, "cost": "$1.50", "shards": 3,
    }  # fmt: skip
    assert [row["in"] for row in rows] == [60, 10, 50, 30, 30]


def test_what_passed_is_what_was_solved_and_votes_on_one_answer_are_one_observation() -> None:
    verdicts = {"solved": 15, "unsure": 6, "unsolved": 9}
    outcome = Outcome("judgments", [a_receipt("judgments", "I1 Weather", 30, outcomes=verdicts)], 0, 1.0)
    outcome.votes = 3
    assert figures(outcome)[0]["pass rate"].startswith("60.0% (31.3 to 83.2%)")  # of ten answers, not of thirty votes
    assert figures(outcome)[0]["unsure"] == 6


def test_many_categories_share_a_row() -> None:
    receipts = [a_receipt("solutions", f"I1 C{n:03d}", n + 1, outcomes={"solved": 1}) for n in range(MOST + 60)]
    rows = figures(Outcome("solutions", receipts, 0, 1.0))
    assert len(rows) == 1 + 1 + MOST + 1
    assert (rows[-1]["of"], rows[-1]["shards"]) == ("60 others", 60)
    assert rows[2]["of"] == "C060", "the largest have rows of their own"
    assert sum(row["in"] for row in rows[2:]) == rows[0]["in"]
    assert len({tuple(row) for row in rows}) == 1


def test_the_description_says_what_this_run_paid_and_what_is_left() -> None:
    outcome = Outcome("solutions", [a_receipt("solutions", "I1 Weather", usage=Usage(calls=9))], 1, 1.0)
    outcome.paid, outcome.stopped = Usage(calls=4, cost=0.5), "Enough."
    outcome.left = [Spec(stage="s", label="", partition={}, records=[], content="", params={})]
    said = description(outcome)
    assert "This run paid for 4 calls and $0.5000" in said
    assert said.endswith("Shards left: 1. Enough.")
    json.dumps(figures(outcome))
