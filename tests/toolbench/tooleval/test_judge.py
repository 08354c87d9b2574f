"""Votes: one row each, by rule where nothing was answered, a reject where nobody can read them."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workshop import Factory, Server, forget, journaled, respecified, written

from toolbench import tooleval
from toolbench.dialogue import json_in
from toolbench.errors import LakeError, TransientError
from toolbench.lake import Lake, Receipt, Spec
from toolbench.records import Judgment, Reject, Solution
from toolbench.settings import Settings

Start = Callable[..., Server]


@pytest.fixture
def copy(factory: Factory, tmp_path: Path) -> Lake:
    """The factory's lake without judgments and journals."""
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    lake = Lake(str(tmp_path / "lake"))
    forget(lake, *factory.judgments.specs)
    shutil.rmtree(tmp_path / "lake" / "journals")
    return lake


def judged(lake: Lake, spec: Spec, settings: Settings) -> Receipt:
    receipt = asyncio.run(tooleval.judge(lake, spec, settings, lambda: None))
    receipt.check("judgments")
    return receipt


def settings_of(factory: Factory, url: str, votes: int = 1, **teacher: Any) -> Settings:
    return factory.settings.with_(teacher={"base_url": f"{url}/v1", **teacher}, judge={"votes": votes})


def planned(factory: Factory, settings: Settings) -> list[Spec]:
    return tooleval.plan(factory.solutions.view, settings, partitions=[s.partition for s in factory.solutions.specs])


def test_every_solution_has_its_vote(factory: Factory) -> None:
    solutions = {s.id: s for s in factory.lake.rows(factory.judgments.view, Solution)}
    votes = list(factory.lake.rows(factory.judgments.view, Judgment))
    assert Counter(v.solution_id for v in votes) == Counter(solutions.keys())
    for vote in votes:
        solution = solutions[vote.solution_id]
        assert (vote.instruction_id, vote.split, vote.group) == (
            solution.instruction_id, solution.split, solution.group
        )  # fmt: skip
        assert vote.reason
    outcomes = sum((Counter(r.outcomes) for r in factory.judgments.receipts), Counter())
    assert outcomes == Counter(v.verdict for v in votes)


def test_what_has_no_answer_is_unsolved_by_rule_and_nobody_is_asked(factory: Factory, copy: Lake) -> None:
    spec = factory.judgments.specs[0]
    rows = list(copy.read(spec.inputs["solutions"], Solution))
    silent = [
        Solution(**{f: getattr(s, f) for f in Solution.__slots__} | {"outcome": "gave_up", "final_answer": ""})
        for s in rows
    ]
    silent[0] = Solution(**{f: getattr(rows[0], f) for f in Solution.__slots__} | {"final_answer": "  "})
    other = Spec(stage="other", label="", partition=spec.partition, records=[], content="x", params={})
    entry = copy.finish(other, {Solution: silent}, taken_in=0, passed_on=0).tables["solutions"]
    spec = respecified(spec, content="x", solutions=[entry])
    receipt = judged(copy, spec, settings_of(factory, "http://127.0.0.1:9"))  # nobody is there to be asked
    votes = list(copy.read([receipt.tables["judgments"]], Judgment))
    assert {(v.verdict, v.model, v.input_tokens, v.cost) for v in votes} == {("unsolved", "rule", 0, 0.0)}
    assert receipt.usage.calls == 0


def test_an_unreadable_vote_is_a_reject(factory: Factory, copy: Lake, start_teacher: Start) -> None:
    for fault, detail in (("malformed_rate", "not the JSON"), ("refusal_rate", "the teacher refused")):
        settings = settings_of(factory, start_teacher(**{fault: 1.0}).url)
        spec = factory.judgments.specs[0]
        receipt = judged(copy, spec, settings)
        answered = [s for s in copy.read(spec.inputs["solutions"], Solution) if s.outcome == "solved"]
        assert receipt.reasons == {"unreadable_vote": len(answered)}
        rows = list(copy.read([receipt.tables["rejects"]], Reject))
        assert {r.record_id for r in rows} == {s.id for s in answered}
        assert all(detail in r.detail for r in rows)
        forget(copy, spec)
        shutil.rmtree(Path(copy.uri) / "journals")


def test_several_votes_are_several_questions(factory: Factory, copy: Lake, honest_teacher: Server) -> None:
    settings = settings_of(factory, honest_teacher.url, votes=3)
    spec = planned(factory, settings)[0]
    honest_teacher.reset()
    receipt = judged(copy, spec, settings)
    votes = list(copy.read([receipt.tables["judgments"]], Judgment))
    solutions = list(copy.read(spec.inputs["solutions"], Solution))
    assert Counter(v.vote for v in votes) == dict.fromkeys(range(3), len(solutions))
    asked = [v for v in votes if v.model != "rule"]
    assert len({v.seed for v in asked}) == len({v.id for v in asked}) == len(asked) == honest_teacher.asked()
    assert spec.size == 3 * len(solutions)


def test_no_votes_no_shards(factory: Factory) -> None:
    assert planned(factory, settings_of(factory, "http://127.0.0.1:9", votes=0)) == []
    assert [s.digest for s in planned(factory, factory.settings)] == [s.digest for s in factory.judgments.specs]


def test_equal_to_the_byte_and_replayed_without_a_teacher(factory: Factory, copy: Lake, honest_teacher: Server) -> None:
    spec = max(factory.judgments.specs, key=lambda s: s.size)
    judged(copy, spec, settings_of(factory, honest_teacher.url, max_concurrency=1))
    first = written(copy)
    assert all(factory.lake.store.read(k) == v for k, v in first.items() if spec.digest in k)
    forget(copy, spec)
    judged(copy, spec, settings_of(factory, "http://127.0.0.1:9"))
    assert written(copy) == first


def test_a_failure_keeps_what_was_paid_for(factory: Factory, copy: Lake, start_teacher: Start) -> None:
    spec = max(factory.judgments.specs, key=lambda s: s.size)
    with pytest.raises(TransientError, match="failed after 0 retries"):
        judged(copy, spec, settings_of(factory, start_teacher(error_rate=0.75).url, max_concurrency=1))
    assert copy.receipt(spec.digest) is None
    paid = len(journaled(copy, spec))
    healthy = start_teacher()
    receipt = judged(copy, spec, settings_of(factory, healthy.url))
    assert healthy.asked() == receipt.usage.calls - paid


def test_an_instruction_that_is_gone_is_said(factory: Factory, copy: Lake) -> None:
    spec = factory.judgments.specs[0]
    spec = respecified(spec, instructions=[])
    with pytest.raises(LakeError, match="which the lake no longer has: run `toolbench annotate`"):
        judged(copy, spec, factory.settings)


def test_a_fenced_reply_is_read_and_a_deep_one_is_refused() -> None:
    verdict = {"reason": "r", "verdict": "solved"}
    assert json_in(f"```json\n{json.dumps(verdict)}\n```\n") == json_in(json.dumps(verdict)) == verdict
    for text in (None, "", "```", "[" * 100_000):
        with pytest.raises(ValueError, match=r"\w"):
            json_in(text)
