"""Whole evaluations of a lake: what they store, what they ask, what a kill costs, who may be compared."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workshop import Factory, Mortal, Server

from toolbench.cli import tooleval_sources as sources
from toolbench.digests import digest
from toolbench.errors import GateError, ToolbenchError, TransientError, UsageError
from toolbench.lake import Draft, Lake
from toolbench.records import Answered, Evaluation, Reject, Solution, Vote
from toolbench.settings import Settings
from toolbench.tooleval import gate
from toolbench.tooleval.evaluate import Evaluated, here, pass_rate, win_rate
from toolbench.tooleval.runs import check_same_judge, dump, load, parse
from toolbench.tooleval.storing import runs_of

Start = Callable[..., Server]


@pytest.fixture
def copy(factory: Factory, tmp_path: Path) -> Lake:
    """The factory's lake, to write to."""
    shutil.copytree(factory.lake.uri, tmp_path / "lake")
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def mortal() -> Iterator[Callable[[int], Server]]:
    """Starts teachers that die after so many requests."""
    running: list[Server] = []

    def start(lives: int) -> Server:
        running.append(Server(Mortal(lives)))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def settings_of(factory: Factory, url: str, **judge: Any) -> Settings:
    known = {"votes": 2, **judge}
    return factory.settings.with_(teacher={"base_url": f"{url}/v1", "max_concurrency": 1}, judge=known)


def evaluated(lake: Lake, settings: Settings, *, name: str = "", publish: bool = True) -> Evaluated:
    view, draft = lake.snapshot(), Draft()
    found = pass_rate(
        lake, view, settings, sources.from_lake(lake, view, [], []), draft, here(lake, settings), name=name
    )
    if publish:
        lake.publish(draft, "test")
    return found


def test_what_is_held_out_is_evaluated_and_every_vote_is_a_row(
    factory: Factory, copy: Lake, honest_teacher: Server
) -> None:
    found = evaluated(copy, settings_of(factory, honest_teacher.url))
    held_out = [s for s in factory.lake.rows(factory.judgments.view, Solution) if s.split != "train"]
    assert 0 < found.run.splits[-1].queries == len(held_out)
    assert {r.id for r in found.rows} == {s.id for s in held_out}
    view = copy.snapshot()
    votes = list(copy.rows(view, Vote))
    assert Counter(v.answered_id for v in votes if v.question == "answer") == {s.id: 2 for s in held_out}
    assert {v.fingerprint for v in votes} == {found.run.fingerprint}
    unsolved = {(v.answered_id, v.vote) for v in votes if v.question == "answer" and v.verdict != "solved"}
    judged = {(v.answered_id, v.vote) for v in votes if v.question == "task"}
    assert judged <= unsolved
    (row,) = copy.rows(view, Evaluation)
    assert (row.rate, row.fingerprint) == (found.run.splits[-1].pass_rate.mean, found.run.fingerprint)
    assert parse(row.document, "row") == found.run == runs_of(copy, view)[0]
    assert {r.spec for r in copy.rows(view, Answered)} == {e.spec for e in view.entries("answered")}


def test_the_votes_beside_the_search_are_taken_over(factory: Factory, copy: Lake, honest_teacher: Server) -> None:
    honest_teacher.reset()
    found = evaluated(copy, settings_of(factory, honest_teacher.url, votes=1))
    asked = [v for v in found.votes if v.model != "rule"]
    tasks = sum(v.question == "task" for v in asked)
    assert len(asked) > tasks
    assert honest_teacher.asked() == tasks, "the nightly run had one vote on every answer"


def test_a_rerun_asks_nobody_and_gives_the_same_bytes(factory: Factory, copy: Lake, honest_teacher: Server) -> None:
    settings = settings_of(factory, honest_teacher.url)
    first = dump(evaluated(copy, settings).run)
    number = copy.snapshot().number
    dead = settings_of(factory, "http://127.0.0.1:9")
    assert dump(evaluated(copy, dead).run) == first
    assert copy.snapshot().number == number
    # Without receipts the journal alone gives the same rows.
    before = {e.path: copy.store.read(e.path) for e in copy.snapshot().entries("votes")}
    for entry in copy.snapshot().entries("votes"):
        copy.store.delete([entry.path, f"receipts/{entry.spec}.json"])
    honest_teacher.reset()
    assert dump(evaluated(copy, settings).run) == first
    assert honest_teacher.asked() == 0
    assert {path: copy.store.read(path) for path in before} == before


def test_a_killed_evaluation_resumes(
    factory: Factory, copy: Lake, mortal: Callable[[int], Server], honest_teacher: Server
) -> None:
    shutil.rmtree(Path(copy.uri) / "journals")
    with pytest.raises(TransientError):
        evaluated(copy, settings_of(factory, mortal(5).url, votes=3))
    honest_teacher.reset()
    found = evaluated(copy, settings_of(factory, honest_teacher.url, votes=3))
    assert found.run.judging.calls == len([v for v in found.votes if v.model != "rule"])
    assert honest_teacher.asked() == found.run.judging.calls - 5


def test_votes_that_cannot_be_read_are_listed_and_the_query_stays(
    factory: Factory, copy: Lake, start_teacher: Start
) -> None:
    shutil.rmtree(Path(copy.uri) / "journals")
    found = evaluated(copy, settings_of(factory, start_teacher(malformed_rate=1.0).url))
    unread = [r for r in found.rejects if r.reason == "unreadable_vote"]
    asked = [q for q in found.run.queries if not q.rule]
    assert asked
    assert all(q.votes == [None, None] and q.verdict == "failed" for q in asked)
    assert {r.record_id for r in unread} >= {f"{q.split}/{q.query_id}" for q in asked}
    assert {r.id for r in copy.rows(copy.snapshot(), Reject)} >= {r.id for r in unread}


def test_the_judge_may_be_elsewhere_and_gets_a_key_of_its_own(factory: Factory, start_teacher: Start) -> None:
    teacher = {"base_url": "https://teacher.example/v1", "api_key": "secret", "model": "big"}
    settings = factory.settings.with_(teacher=teacher)
    assert settings.as_judge().teacher == settings.teacher
    other = settings.with_(judge={"base_url": "https://judge.example/v1", "model": "wise", "budget_calls": 7})
    judge = other.as_judge().teacher
    assert (judge.base_url, judge.model, judge.budget_calls) == ("https://judge.example/v1", "wise", 7)
    assert judge.api_key.get_secret_value() == ""
    assert other.as_judge().as_judge().teacher == judge
    keyed = other.with_(judge={"api_key": "another"}).as_judge().teacher
    assert keyed.api_key.get_secret_value() == "another"
    assert "another" not in repr(other.with_(judge={"api_key": "another"}))
    with pytest.raises(UsageError, match="needs the price of wise"):
        other.with_(judge={"budget_dollars": 3.0}).as_judge()


def test_a_budget_ends_the_evaluation_in_a_sentence(factory: Factory, copy: Lake, honest_teacher: Server) -> None:
    shutil.rmtree(Path(copy.uri) / "journals")
    with pytest.raises(ToolbenchError, match="budget"):
        evaluated(copy, settings_of(factory, honest_teacher.url, votes=3, budget_calls=2))


def test_results_of_different_judges_are_not_compared_unless_asked_for(
    factory: Factory, copy: Lake, honest_teacher: Server, tmp_path: Path
) -> None:
    two = evaluated(copy, settings_of(factory, honest_teacher.url), name="two").run
    three = evaluated(copy, settings_of(factory, honest_teacher.url, votes=3), name="three").run
    message = rf"two was judged by {two.fingerprint} and three by {three.fingerprint}, .*votes \(2 and 3\)"
    with pytest.raises(UsageError, match=message):
        check_same_judge([two, three])
    check_same_judge([two, three], allow=True)
    with pytest.raises(UsageError, match="allow-different-judges"):
        gate.check(three, reference=two)
    gate.check(three, reference=two, different_judges=True)
    gate.check(two, least=0.0, reference=two)
    with pytest.raises(GateError, match=r"below the 100\.1% that were asked for"):
        gate.check(two, least=1.001)
    failed = two.model_copy(
        update={"name": "worse", "queries": [q.model_copy(update={"points": 0.0}) for q in two.queries]}
    )
    with pytest.raises(GateError, match="points below that of two"):
        gate.check(failed, reference=two)
    (tmp_path / "run.json").write_text(dump(two))
    assert load(tmp_path / "run.json") == two


def test_a_run_against_itself_is_all_ties_and_against_nothing_all_wins(
    factory: Factory, copy: Lake, honest_teacher: Server
) -> None:
    settings = settings_of(factory, honest_teacher.url)
    ours = evaluated(copy, settings, name="ours")
    run, _ = win_rate(copy, settings, ours, ours, Draft(), here(copy, settings))
    assert (run.splits[-1].wins, run.splits[-1].losses, run.splits[-1].win_rate.mean) == (0, 0, 0.5)
    nothing = Evaluated(ours.run.model_copy(update={"name": "nothing", "id": "n"}), [], [], [], [])
    run, _ = win_rate(copy, settings, ours, nothing, Draft(), here(copy, settings))
    whole = run.splits[-1]
    assert (whole.wins, whole.losses, whole.won_by) == (whole.queries, 0, {"missing": whole.queries})
    assert whole.p_value == pytest.approx(2.0 ** (1 - whole.queries), abs=1e-8)


def test_both_orders_are_asked_and_journaled(factory: Factory, copy: Lake, honest_teacher: Server) -> None:
    settings = settings_of(factory, honest_teacher.url, votes=2)
    ours = evaluated(copy, settings, name="ours")
    theirs = Evaluated(
        ours.run.model_copy(update={"name": "theirs", "id": digest("theirs")}),
        ours.answered,
        [_other(row) for row in ours.rows],
        ours.votes,
        [],
    )
    from toolbench.tooleval.storing import put_answered

    stored = put_answered(copy, "theirs", theirs.rows, 50, [])
    theirs.answered = [r.tables["answered"] for r in stored]
    theirs.rows = list(copy.read(theirs.answered, Answered))
    honest_teacher.reset()
    draft = Draft()
    first, _ = win_rate(copy, settings, ours, theirs, draft, here(copy, settings))
    asked = [q for q in first.queries if q.votes]
    assert asked
    assert honest_teacher.asked() == first.judging.calls == len(asked) * 2 * 2
    copy.publish(draft, "test")
    again, _ = win_rate(copy, settings, ours, theirs, Draft(), here(copy, settings))
    assert dump(again) == dump(first)
    assert honest_teacher.asked() == first.judging.calls
    orders = Counter(v.order for v in copy.rows(copy.snapshot(), Vote) if v.question == "preference")
    assert orders == {"ours first": 2 * len(asked), "theirs first": 2 * len(asked)}


def _other(row: Answered) -> Answered:
    """The same path with other words at its end."""
    fields = {name: getattr(row, name) for name in Answered.__slots__}
    return Answered(
        **{**fields, "id": f"{row.id}-other", "final_answer": f"{row.final_answer} Indeed." if row.final_answer else ""}
    )


def test_imported_answers_are_judged_exported_and_read_again_without_loss(
    factory: Factory, tmp_path: Path, honest_teacher: Server, data_dir: Path
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    settings = settings_of(factory, honest_teacher.url)
    test_set = sources.queries(sorted((data_dir / "test_instruction").glob("*.json")))

    def judged(place: Path, whole: bool) -> Evaluated:
        gathered = sources.from_files(place, test_set if whole else None)
        return pass_rate(lake, lake.snapshot(), settings, gathered, Draft(), here(lake, settings), name=place.name)

    first = judged(data_dir / "answer", whole=False)
    assert first.run.splits[-1].queries == 15
    from toolbench.cli.tooleval_pass import _export

    _export(first, tmp_path / "out")
    again = judged(tmp_path / "out" / "converted", whole=False)
    assert [(q.split, q.query_id, q.rule, q.status, q.points, q.steps) for q in again.run.queries] == [
        (q.split, q.query_id, q.rule, q.status, q.points, q.steps) for q in first.run.queries
    ]
    written = [json.loads(p.read_text()) for p in sorted((tmp_path / "out" / "pass_rate").glob("*.json"))]
    assert sum(len(document) for document in written) == 15
    # None of them answers a query of the published test set: all 552 fail, and all 15 are listed.
    whole = judged(data_dir / "answer", whole=True)
    assert (whole.run.splits[-1].queries, len(whole.run.splits[-1].missing)) == (552, 552)
    assert whole.run.splits[-1].pass_rate.mean == 0
    assert Counter(r.reason for r in whole.rejects) == {"not_in_test_set": 15}
