"""Figures of APIBench: share of right calls, share of hallucinations, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from toolbench.statistics import Estimate, bootstrap, wilson
from toolbench.tooleval.apibench.data import Bench, Question
from toolbench.tooleval.apibench.match import Library, Match, Outcome, read


@dataclass(frozen=True, slots=True)
class Scored:
    """One question, judged."""

    question: Question
    answered: bool
    match: Match
    functional: bool
    """The API asked for, or one of the same domain: the accuracy that Gorilla's scripts print."""
    cluster: str
    """The API asked for: answers to questions about one API go together."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the answers to some questions came to. Every question is in the denominator; no answer is a miss.

    Intervals: bootstrap, the questions about one API drawn together; Wilson's, over APIs, where all are alike.
    """

    set: str
    questions: int
    outcomes: dict[Outcome, int]
    ast: Estimate
    """Right calls."""
    functional: Estimate
    """Right calls, and calls of another API of the right domain."""
    hallucination: Estimate
    """Calls of what is no API of the set."""
    no_call: Estimate
    """Answers without a call. Gorilla's scripts count them as hallucinations."""
    missing: list[str]
    """Questions without an answer; they are in `no_call`."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rates = ("ast", "functional", "hallucination", "no_call")
        return {
            "set": self.set,
            "questions": self.questions,
            "outcomes": self.outcomes,
            **{name: _rate(getattr(self, name)) for name in rates},
            "missing": self.missing,
        }


class Scorer:
    """Judges answers to the questions of one set."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._library = Library((d.call for d in bench.documents), (q.reference for q in bench.questions))
        documents = [*bench.documents, *(q.document for q in bench.questions)]
        self._domains: dict[Any, set[str]] = {}
        for document in documents:
            for api in self._library.found(read(document.call)):
                self._domains.setdefault(api, set()).add(document.domain)

    def score(self, question: Question, answer: str | None) -> Scored:
        """Judge one answer, any text; None: there is none."""
        match = self._library.judge(answer or "", question.reference)
        right = match.outcome == "match"
        same = match.api is not None and question.document.domain in self._domains.get(match.api, ())
        return Scored(question, answer is not None, match, right or same, str(self._library.api(question.reference)))


def score(benches: Sequence[Bench], answers: Mapping[str, str], asked: Sequence[Question]) -> list[Scored]:
    """All questions asked, judged by their sets."""
    scorers = {bench.set: Scorer(bench) for bench in benches}
    return [scorers[q.set].score(q, answers.get(q.id)) for q in asked]


def figures(scored: Sequence[Scored], *, seed: int = 0) -> list[Figures]:
    """A row for each set in the order of the questions and, where there are several, one for `all`."""
    sets = list(dict.fromkeys(s.question.set for s in scored))
    found = [_figures(name, [s for s in scored if s.question.set == name], seed) for name in sets]
    return [*found, _figures("all", scored, seed)] if len(sets) > 1 else found


def _figures(name: str, scored: Sequence[Scored], seed: int) -> Figures:
    estimate = partial(_estimate, clusters=[f"{s.question.set} {s.cluster}" for s in scored], seed=seed)
    names: tuple[Outcome, ...] = ("match", "other", "hallucination", "no_call")
    outcomes = [s.match.outcome for s in scored]
    return Figures(
        name,
        len(scored),
        {outcome: outcomes.count(outcome) for outcome in names},
        ast=estimate([o == "match" for o in outcomes]),
        functional=estimate([s.functional for s in scored]),
        hallucination=estimate([o == "hallucination" for o in outcomes]),
        no_call=estimate([o == "no_call" for o in outcomes]),
        missing=[s.question.id for s in scored if not s.answered],
    )


def _estimate(hits: Sequence[bool], clusters: Sequence[str], seed: int) -> Estimate:
    found = bootstrap([float(hit) for hit in hits], clusters, seed=seed)
    if found is None:
        raise ValueError("no question was asked")
    if found.mean in (0, 1) and (ends := wilson(found.mean * found.clusters, found.clusters)):
        return replace(
            found, low=min(found.mean, ends[0]), high=max(found.mean, ends[1])
        )  # drawing from what is all alike would give no width at all
    return found


def _rate(found: Estimate) -> dict[str, float | int]:
    return {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n, "apis": found.clusters}
