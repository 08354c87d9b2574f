"""Stored results of evaluations: what the leaderboard is made of. JSON, versioned, without clock times.

A `PassRun` holds the pass rate of one method on a test set, a `WinRun` how often one run beats another. Both carry the
judge that decided, pinned by its fingerprint: figures of different judges are not compared unless that is asked for.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from toolbench.digests import digest
from toolbench.errors import SourceError, UsageError
from toolbench.statistics import Estimate

FORMAT: Literal[1] = 1

Counting = Literal["paper", "solvable"]
"""How a pass is decided: `paper` asks whether the task can be solved at all where the answer does not solve it;
`solvable` takes it for granted, as StableToolBench's solvable pass rate does."""

AnswerStatus = Literal["solved", "unsure", "unsolved"]
TaskStatus = Literal["solvable", "unsure", "unsolvable"]
Passing = Literal["passed", "unsure", "failed"]
Rule = Literal["", "missing", "no_answer", "empty", "gave_up", "apology"]
"""Why no judge was asked about an answer; empty if one was."""

WonBy = Literal["solved", "steps", "quality", "path", "missing", "even"]
"""What decided a comparison; `even`: nothing did."""


class Part(BaseModel):
    """Frozen, strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class JudgePin(Part):
    """Everything that decides how a judge judges."""

    model: str
    prompts: dict[str, str]
    """Digest of each prompt file, by name."""
    votes: int
    temperature: float
    schema_version: int
    """Version of the questions' reply schemas and of the rules around them."""

    @property
    def fingerprint(self) -> str:
        """12 hex digits that name this judge."""
        return digest(self.model_dump(), 12)


class Rate(Part):
    """A share with its 95% interval."""

    mean: float
    low: float
    high: float
    n: int
    """Queries."""

    @classmethod
    def of(cls, found: Estimate) -> "Rate":
        """From an estimate over queries. Rounded, so that files read well."""
        return cls(mean=round(found.mean, 9), low=round(found.low, 9), high=round(found.high, 9), n=found.n)

    def percent(self) -> str:
        """`52.1% (48.0 to 56.3)`."""
        return Estimate(self.mean, self.low, self.high, self.n, self.n).percent()


class Checks(Part):
    """What can be counted without a judge; None where there is nothing to count."""

    finish_rate: float | None
    """Queries of the test set with a final answer."""
    valid_call_rate: float | None
    """API calls that named an offered function with arguments that fit its schema."""
    hallucination_rate: float | None
    """Calls that named a function which was not offered."""
    api_error_rate: float | None
    """Calls of offered functions that came back with an error."""
    argument_validity: float | None
    """Calls of offered functions whose arguments fit its schema."""
    relevant_coverage: float | None
    """Relevant APIs that were called, averaged over the queries whose relevant APIs are known."""
    steps: float | None
    """Along the judged path, per answered query: a thought is one, a call is one."""
    calls: float | None
    """API calls of the whole search, per answered query."""
    replies: float | None
    """Replies of the model in the whole search, per answered query."""
    tokens: float | None
    """In and out, per answered query."""
    cost: float
    """US dollars of all searches together."""


class QueryResult(Part):
    """What came of one query of the test set."""

    query_id: str
    split: str
    answered: bool
    """There is an answer file or row for it, whatever it holds."""
    rule: Rule
    status: AnswerStatus
    """Of most votes; `unsure` where none has the most."""
    task: TaskStatus | Literal[""]
    """Of most votes that asked; empty if none did."""
    verdict: Passing
    """Of most votes; `unsure` where none has the most."""
    points: float
    """Mean over the votes: passed 1, unsure as configured, failed 0."""
    votes: list[float | None]
    """The points of each vote, in order; None for one that could not be read: it is listed in the lake's `rejects`, and
    with none left the query counts as failed."""
    steps: int
    calls: int
    replies: int
    input_tokens: int
    output_tokens: int
    cost: float


class SplitResult(Part):
    """The pass rate of one split."""

    split: str
    """A split's name, or `all`: the mean over all queries."""
    queries: int
    """Of the test set: the denominator."""
    missing: list[str]
    """Query ids without any answer; each counts as failed. For `all` as `split/id`."""
    pass_rate: Rate
    """Interval: bootstrap over queries, the votes of a query (and the same query in another split) drawn together."""
    vote_rates: list[float]
    """The pass rate by the first vote alone, by the second, and so on."""
    vote_variance: float | None
    """Mean over the judged queries of the variance between the votes of one query (n − 1); None with one vote."""
    checks: Checks


class Judging(Part):
    """What the judge used."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


class PassRun(Part):
    """The pass rate of one method on a test set."""

    kind: Literal["pass"] = "pass"
    format: Literal[1] = FORMAT
    id: str
    """16 hex digits: of the answers, the test set, the judge, the counting and the seed."""
    name: str
    """What a table calls it: given by the user, else method and model."""
    method: str
    """How the answers were searched: `dfsdt`, `react@3`, ToolBench's `DFS_woFilter_w2`; `mixed` if they differ."""
    model: str
    """Who searched; `imported` where files do not say."""
    answers: str
    """Where the answers came from, for people: a lake and snapshot, or a file's or folder's name."""
    test_set: Literal["instructions", "answers"]
    """`answers`: no test set was given, the answered queries are the denominator."""
    counting: Counting
    unsure: float
    """What unsure counts."""
    judge: JudgePin
    fingerprint: str
    seed: int
    judging: Judging
    splits: list[SplitResult]
    """By name, `all` last."""
    queries: list[QueryResult]
    """In the order of split and query id."""


class ComparisonResult(Part):
    """One query that two runs were compared on."""

    query_id: str
    split: str
    points: float
    """1 won, ½ tie, 0 lost, seen from the run that is compared."""
    won_by: WonBy
    votes: list[float | None]
    """Of the votes on answer quality: 1, ½ (the two orders disagree, or it is a tie), 0; None for one that could not be
    read in both orders. Empty where nobody was asked."""


class WinSplit(Part):
    """The win rate on one split."""

    split: str
    queries: int
    wins: int
    ties: int
    losses: int
    win_rate: Rate
    """Ties count half; interval: bootstrap over queries."""
    p_value: float
    """Two-sided sign test of wins against losses."""
    won_by: dict[str, int]
    """Comparisons by what decided them."""


class WinRun(Part):
    """How often one run beats another on the same test set."""

    kind: Literal["win"] = "win"
    format: Literal[1] = FORMAT
    id: str
    name: str
    """Of the run that is compared."""
    against: str
    """Of the reference run."""
    run: str
    """Id of the `PassRun` that is compared."""
    reference: str
    """Id of the reference's `PassRun`."""
    method: str
    model: str
    judge: JudgePin
    fingerprint: str
    seed: int
    judging: Judging
    splits: list[WinSplit]
    queries: list[ComparisonResult]


EvaluationRun = PassRun | WinRun
_ADAPTER: TypeAdapter[EvaluationRun] = TypeAdapter(Annotated[EvaluationRun, Field(discriminator="kind")])


def dump(run: EvaluationRun) -> str:
    """The run as a JSON document; equal runs give equal bytes."""
    return json.dumps(run.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"


def parse(data: bytes | str, where: str) -> EvaluationRun:
    """A run from its document. Raises SourceError naming `where` and the field if it is none, or of a newer format."""
    try:
        found: Any = json.loads(data)
        if isinstance(found, dict) and isinstance(found.get("format"), int) and found["format"] > FORMAT:
            raise SourceError(
                f"{where} was written by a newer toolbench (format {found['format']}); upgrade toolbench."
            )
        return _ADAPTER.validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise SourceError(f"{where} is no stored evaluation: {field}: {first['msg']}.") from None
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where} is not valid JSON: {error}.") from None


def load(path: Path) -> EvaluationRun:
    """A run from a file that `--out` wrote. Raises SourceError if it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"The evaluation {path} cannot be read: {error.strerror}.") from None
    return parse(data, str(path))


def check_same_judge(runs: Iterable[EvaluationRun], *, allow: bool = False) -> None:
    """Raises UsageError unless all runs of one kind were judged by the same judge and counted alike, naming both
    fingerprints and what differs; `allow`: never."""
    first: dict[str, EvaluationRun] = {}
    for run in () if allow else runs:
        other = first.setdefault(run.kind, run)
        if differing := _differing(other, run):
            raise UsageError(
                f"{other.name} was judged by {other.fingerprint} and {run.name} by {run.fingerprint}, which differ in "
                f"{' and '.join(differing)}: judge both alike, or give --allow-different-judges."
            )


def _differing(one: EvaluationRun, other: EvaluationRun) -> list[str]:
    mine, theirs = one.judge.model_dump(), other.judge.model_dump()
    found = [f"{name} ({mine[name]} and {theirs[name]})" for name in mine if mine[name] != theirs[name]]
    if isinstance(one, PassRun) and isinstance(other, PassRun):
        for name in ("counting", "unsure"):
            if getattr(one, name) != getattr(other, name):
                found.append(f"{name} ({getattr(one, name)} and {getattr(other, name)})")
    return found
