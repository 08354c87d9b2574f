"""The vocabulary: one dataclass a record, versioned; `toolbench.schemas` derives a pyarrow schema from each.

Every stage reads and writes these and nothing else. Columns hold plain values; what has no fixed shape (a JSON
Schema, an argument object) is kept as JSON text, so that any Parquet reader can open every table.

`spec` names the shard specification a row was made from; the `runs` table tells which run used it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Group = Literal["I1", "I2", "I3"]
"""Single-tool, intra-category multi-tool, intra-collection multi-tool (ToolBench's files say G1, G2, G3)."""

Split = Literal["train", "instruction", "tool", "category"]
"""`train`, or the level at which a record is held out: unseen instruction, unseen tool, unseen category."""

Outcome = Literal["solved", "gave_up", "out_of_budget", "failed"]
Source = Literal["live", "recorded", "server", "simulated", "none"]
"""Where an API's answer came from; `none`: no API was asked (a hallucinated name, bad arguments, `Finish`)."""


class Record:
    """Base of everything that is a row of a table."""

    TABLE: ClassVar[str]
    VERSION: ClassVar[int] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of an API, under the name its source uses and under the name its function shows."""

    name: str
    """The name on the wire."""
    shown_as: str
    """The property name in the function definition, standardised."""
    type: str
    """A JSON Schema type: string, integer, number, boolean, array, object."""
    required: bool
    description: str = ""
    default: str | None = None
    """Documented default or example, as JSON text."""
    location: str = "query"
    """query, path, header, cookie, body (a property of a JSON body; the whole of it if the name is empty), form or
    multipart (a field of a form)."""
    secret: bool = False
    """A credential: never shown to a model, filled from settings at call time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Record):
    """A service with a host."""

    TABLE: ClassVar[str] = "tools"

    id: str
    """`<Category folder>/<standardised tool name>`, with a short hash behind it where two would collide."""
    name: str
    title: str
    description: str
    category: str
    """The category's folder name: space, comma and slash are `_`."""
    category_inferred: bool = False
    """Its source named none: it is the one whose description is nearest."""
    collections: list[str]
    base_url: str
    """Scheme, host and base path that the APIs' paths are relative to; empty if the source names none."""
    origin: str
    """The kind of source: toolenv, openapi, postman, mcp."""
    split: Split
    """train, tool or category: the level this tool is held out at."""
    digest: str
    """Content hash of the tool's own fields."""
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api(Record):
    """One endpoint of a tool."""

    TABLE: ClassVar[str] = "apis"

    id: str
    """`<tool id>/<standardised API name>`, with a short hash behind it where two would collide."""
    tool_id: str
    tool: str
    """The tool's name as its source spells it."""
    name: str
    """The API's name as its source spells it."""
    category: str
    collections: list[str]
    description: str
    method: str
    url: str
    """Absolute URL with `{path}` parameters left as they are."""
    parameters: list[Parameter]
    function: str
    """The name of its function: `^[a-zA-Z0-9_-]{1,64}$`, unique within the catalogue."""
    definition: str
    """The function definition for the OpenAI tools API, as JSON text: name, description, parameters."""
    response_schema: str | None = None
    """JSON Schema of a good response, as JSON text, where documented."""
    response_example: str | None = None
    """An example of a good response, as JSON text, where documented."""
    deprecated: bool = False
    tags: list[str] = field(default_factory=list)
    """The source's own tags, in its order."""
    split: Split = "train"
    digest: str
    """Content hash of the API's own fields: unchanged means no later stage has work to do for it."""
    spec: str = ""


VerdictName = Literal["working", "dead", "unauthorised", "slow", "low_quality", "rate_limited", "unsuitable", "unknown"]
"""`unsuitable`: adult or junk by the list; `unknown`: it could not be called, so nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Record):
    """What screening found out about one API (ToolLLM, section 2.1), with the evidence."""

    TABLE: ClassVar[str] = "verdicts"

    id: str
    """The API's id."""
    tool_id: str
    category: str
    verdict: VerdictName
    reason: str
    """A short code to count by, for example `not_found`, `html`, `error_in_success`; empty if it works."""
    evidence: str
    """The calls it rests on, as a JSON list of {arguments, status, source, seconds, error, response}, or the rule."""
    calls: int
    p95: float | None = None
    """Seconds; None where no call was timed."""
    night: str
    """The night it was screened in, as an ISO date."""
    failed_nights: int = 0
    """Nights in a row, this one included, in which it failed."""
    retired: bool = False
    """Not offered to later stages: unsuitable, or failed as many nights as settings allow."""
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseKeys(Record):
    """The keys of an API's responses that matter to a user, named once by the teacher from examples."""

    TABLE: ClassVar[str] = "response_keys"

    id: str
    """The API's id."""
    category: str
    keys: list[str]
    """Paths from the top of the response, such as `data.items[].name`; `[]` stands for every item of a list."""
    examples: int
    """Example responses the teacher was shown."""
    model: str
    prompt_digest: str
    seed: int
    input_tokens: int
    output_tokens: int
    cost: float
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination(Record):
    """APIs sampled together; its instructions offer all of them as candidates."""

    TABLE: ClassVar[str] = "combinations"

    id: str
    group: Group
    category: str
    """The category of its tools; for I3 the collection's name stands in `collection` and this is empty."""
    collection: str
    apis: list[str]
    split: Split
    seed: int
    content: str = ""
    """Digest of what its APIs were when it was sampled: with the same content it stays from night to night."""
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction(Record):
    """What a user asks for, with the candidate APIs and the relevant ones among them."""

    TABLE: ClassVar[str] = "instructions"

    id: str
    group: Group
    category: str
    collection: str
    combination_id: str
    text: str
    candidates: list[str]
    """API ids offered during the search."""
    relevant: list[str]
    """API ids the instruction was written for: a subset of `candidates`."""
    split: Split
    model: str
    prompt_digest: str
    seed: int
    input_tokens: int
    """Its share of the tokens of the call that wrote it."""
    output_tokens: int
    cost: float
    """US dollars, by the price table in settings."""
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of a decision tree: a thought, a call with its observation, or both; the root has neither.

    A reply with several calls becomes a chain of steps that share `turn`.
    """

    id: int
    """Position in `Solution.steps`; 0 is the root."""
    parent: int
    """Id of the step before it; -1 for the root."""
    turn: int
    """Number of the reply it came from, counted over the whole search from 1; 0 for the root."""
    depth: int
    """Levels below the root as ToolBench counts them: a thought is one, a call is two."""
    thought: str | None = None
    reasoning: str | None = None
    """A reasoning model's own reasoning content; kept apart, never trained on by default."""
    function: str | None = None
    """The function's name as the model wrote it."""
    api_id: str | None = None
    """The API it resolved to; None for `Finish`, for an invented name, and without a call."""
    arguments: str | None = None
    """The arguments string as the model wrote it."""
    observation: str | None = None
    """What the model was shown in return, cut to the limit."""
    status: int | None = None
    """Status code 0 to 12 of the call; -1: the teacher failed at this turn."""
    source: Source = "none"
    pruned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution(Record):
    """The search for one instruction: the whole tree as a flat list of steps, and the path that was chosen."""

    TABLE: ClassVar[str] = "solutions"

    id: str
    instruction_id: str
    group: Group
    category: str
    collection: str
    split: Split
    method: str
    outcome: Outcome
    reason: str
    """Why it was not solved; empty when it was."""
    final_answer: str
    steps: list[Step]
    path: list[int]
    """Step ids from below the root to the end of the chosen path; empty if none was chosen."""
    model: str
    prompt_digest: str
    seed: int
    calls: int
    """Replies the teacher gave."""
    input_tokens: int
    output_tokens: int
    cost: float
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall(Record):
    """One API call that a search made, with the response before it was cut."""

    TABLE: ClassVar[str] = "api_calls"

    id: str
    solution_id: str
    step: int
    api_id: str
    category: str
    arguments: str
    """Canonical JSON of the arguments sent."""
    status: int
    source: Source
    error: str
    response: str
    """The response as JSON text, up to the size limit of the API caller."""
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """A call inside a message."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message in OpenAI's shape; `train` marks the turns a student learns from."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    tool_calls: list[FunctionCall] = field(default_factory=list)
    tool_call_id: str | None = None
    train: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation(Record):
    """A training conversation: one solution path, loss on the assistant's turns."""

    TABLE: ClassVar[str] = "conversations"

    id: str
    instruction_id: str
    solution_id: str
    group: Group
    category: str
    collection: str
    split: Split
    tools: str
    """The offered function definitions as JSON text: a list of `{"type": "function", "function": …}`."""
    messages: list[Message]
    model: str
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalPair(Record):
    """A query and one API document relevant to it."""

    TABLE: ClassVar[str] = "retrieval_pairs"

    id: str
    query_id: str
    query: str
    api_id: str
    document: str
    """The API as the retriever reads it."""
    group: Group
    category: str
    collection: str
    split: Split
    model: str
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment(Record):
    """One vote of a judge on one solution."""

    TABLE: ClassVar[str] = "judgments"

    id: str
    solution_id: str
    instruction_id: str
    group: Group
    category: str
    collection: str
    split: Split
    vote: int
    verdict: Literal["solved", "unsure", "unsolved"]
    reason: str
    model: str
    """`rule` where no judge was asked."""
    prompt_digest: str
    seed: int
    input_tokens: int
    output_tokens: int
    cost: float
    fingerprint: str = ""
    """Of the judge: see `toolbench.tooleval.runs`."""
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of an answer as ToolEval tells it: what was said, or a call with its response."""

    role: Literal["system", "user", "assistant", "tool"]
    message: str = ""
    """What was said; for a call only where it is not made of the fields below in the usual way."""
    function: str | None = None
    arguments: str = ""
    response: str = ""
    """As the model saw it."""
    status: int | None = None
    """ToolBench's code of the call; None if its source does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Record):
    """One query of a test set, with the answer that is evaluated, or without one."""

    TABLE: ClassVar[str] = "answered"

    id: str
    """The solution's id where the lake has it."""
    query_id: str
    """Unique within its split."""
    split: str
    query: str
    functions: str
    """The offered function definitions, `Finish` included where the source has it, as a JSON list."""
    relevant: list[str]
    """Names of the functions the query was written for; empty if unknown."""
    present: bool
    """False: the query has no answer, and counts as failed."""
    finish: Literal["answer", "gave_up", "none"]
    """How it ended; `none`: without an answer within the budget."""
    final_answer: str
    final_arguments: str
    """The raw arguments of `Finish`, or what the source has in their place."""
    turns: list[Turn]
    """Along the path that is judged."""
    method: str
    model: str
    calls: int
    """API calls of the whole search."""
    replies: int
    """The model's replies in the whole search; 0 if its source does not say."""
    input_tokens: int
    output_tokens: int
    cost: float
    origin: str
    """Where it came from: a solution's specification, or a file's name."""
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote(Record):
    """One vote of a judge in an evaluation."""

    TABLE: ClassVar[str] = "votes"

    id: str
    answered_id: str
    query_id: str
    split: str
    question: Literal["answer", "task", "preference"]
    vote: int
    order: Literal["", "ours first", "theirs first"] = ""
    """Which of two answers was shown first."""
    verdict: str
    """answer: solved, unsure, unsolved; task: solvable, unsure, unsolvable; preference: ours, theirs, tie."""
    reason: str
    model: str
    """`rule` where no judge was asked."""
    prompt_digest: str
    fingerprint: str
    seed: int
    input_tokens: int
    output_tokens: int
    cost: float
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Record):
    """The result of one evaluation."""

    TABLE: ClassVar[str] = "evaluations"

    id: str
    kind: Literal["pass", "win"]
    name: str
    method: str
    model: str
    fingerprint: str
    """Of the judge."""
    queries: int
    rate: float
    """Pass rate or win rate over all queries."""
    document: str
    """All of it as JSON text: what `--out` writes."""
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiBenchAnswer(Record):
    """What a model replied to one question of APIBench."""

    TABLE: ClassVar[str] = "apibench_answers"

    id: str
    question_id: str
    """`<set>/<line of the file>`."""
    set: str
    documents: str
    """What it was shown: none, bm25, oracle, retriever."""
    text: str
    """The reply as it came."""
    model: str
    prompt_digest: str
    seed: int
    input_tokens: int
    output_tokens: int
    cost: float
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(Record):
    """Something a stage took in and did not pass on, with its reason."""

    TABLE: ClassVar[str] = "rejects"

    id: str
    stage: str
    record_id: str
    reason: str
    """A short code to count by, for example `hallucinated_api`."""
    detail: str
    """One sentence naming the field, file or value."""
    group: str = ""
    category: str = ""
    collection: str = ""
    payload: str = "{}"
    """What was rejected, as JSON text."""
    spec: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """One run of a stage: counts, cost and time. The only table whose rows carry clock times."""

    TABLE: ClassVar[str] = "runs"

    id: str
    flow: str
    stage: str
    started_at: str
    """ISO 8601, UTC."""
    seconds: float
    shards: int
    shards_reused: int
    taken_in: int
    passed_on: int
    rejected: int
    reasons: str = "{}"
    """Rejected records by reason, as JSON text."""
    outcomes: str = "{}"
    """Counts of the stage's own as JSON text, for example solutions by outcome."""
    calls: int
    input_tokens: int
    output_tokens: int
    cost: float
    model: str
    metrics: str = "{}"
    """Figures of the stage's own as JSON text, for example NDCG before and after."""
    paid_calls: int = 0
    """Of the calls, those that this run asked for; `calls` counts what earlier runs had paid for as well."""
    paid_tokens: int = 0
    paid_cost: float = 0.0
    left: int = 0
    """Shards left for the next run, because the budget was used up."""
    stopped: str = ""
    """What was used up, in a sentence."""
    specs: list[str] = field(default_factory=list)
    spec: str = ""


RECORDS: Mapping[str, type[Record]] = {
    r.TABLE: r
    for r in (
        Tool, Api, Verdict, ResponseKeys, Combination, Instruction, Solution, ApiCall, Conversation, RetrievalPair,
        Judgment, Answered, Vote, Evaluation, ApiBenchAnswer, Reject, Run,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the teacher answered to one request."""

    content: str | None = None
    reasoning: str | None = None
    calls: list[FunctionCall] = field(default_factory=list)
    finish_reason: str = "stop"
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    error: str = ""
    """Why there is no reply, after the client's own retries; then everything above is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What one API call came back with: ToolBench's envelope, a status code 0 to 12, and where it came from."""

    error: str = ""
    response: Any = ""
    """A JSON value."""
    status: int = 0
    source: Source = "none"
    input_tokens: int = 0
    """What a teacher that simulated the answer used."""
    output_tokens: int = 0
    cost: float = 0.0

    @property
    def envelope(self) -> str:
        """`{"error": …, "response": …}` as the model sees it before it is cut."""
        return json.dumps({"error": self.error, "response": self.response}, ensure_ascii=False)
