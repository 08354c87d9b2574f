"""A small lake by hand: two categories, one collection, a search that back-tracked, hostile text everywhere."""

import json
from dataclasses import replace
from typing import Any

from toolbench.digests import digest
from toolbench.lake import Draft, Lake, ModelEntry, Snapshot, Spec
from toolbench.records import (
    Api,
    ApiCall,
    Conversation,
    FunctionCall,
    Instruction,
    Judgment,
    Message,
    Record,
    Reject,
    RetrievalPair,
    Run,
    Solution,
    Step,
    Tool,
)
from toolbench.tooleval.runs import Checks, JudgePin, Judging, PassRun, Rate, SplitResult, dump

EVIL = (
    "<script>alert(1)</script> \"><img src=x onerror=window.pwned=2> ' {{ 7*7 }} </pre></style>\u202e"
    "</script><svg onload=window.pwned=3>\u2028`${window.pwned=4}`\\u003cb> //-->]]>*/\u2029\r\0"
)
WHERE: list[dict[str, Any]] = [
    {"group": "I1", "category": "Weather", "collection": ""},
    {"group": "I2", "category": "Weather", "collection": ""},
    {"group": "I3", "category": "", "collection": "Trip"},
]


def step(id_: int, parent: int, **fields: Any) -> Step:
    """A step; its turn and depth are its id."""
    return Step(id=id_, parent=parent, turn=id_, depth=2 * id_, **fields)


def call(id_: int, parent: int, status: int = 0, function: str = "now_for_" + EVIL, **fields: Any) -> Step:
    """A step with a call."""
    texts = {"thought": EVIL, "reasoning": EVIL, "api_id": "Weather/sky/now", "arguments": EVIL, "observation": EVIL}
    return step(id_, parent, function=function, status=status, source="recorded", **texts, **fields)


FORKED = [
    step(0, -1), call(1, 0), call(2, 1, 4, "Finish", pruned=True), call(3, 1, 5), call(4, 3, 3, "Finish"),
]  # fmt: skip
"""Root, a call, then a fork: gave up, or a timeout and an answer."""
STRAIGHT = [step(0, -1), call(1, 0), call(2, 1, 3, "Finish")]


def solution(number: int, steps: list[Step], path: list[int], outcome: Any = "solved", model: str = "gpt") -> Solution:
    """Solution `s<number>` of instruction `i<number>`."""
    return Solution(
        id=f"s{number}", instruction_id=f"i{number}", split="train", method="dfsdt", outcome=outcome, reason=EVIL,
        final_answer=EVIL, steps=steps, path=path, model=model, prompt_digest=EVIL, seed=1, calls=4, input_tokens=10,
        output_tokens=5, cost=0.5, spec="x", **WHERE[number % 3],
    )  # fmt: skip


def instruction(number: int, model: str = "gpt") -> Instruction:
    """Instruction `i<number>`."""
    return Instruction(
        id=f"i{number}", combination_id="c", text=f"{EVIL} number {number}", candidates=["Weather/sky/now", EVIL],
        relevant=["Weather/sky/now"], split="tool" if number == 1 else "train", model=model, prompt_digest="p", seed=1,
        input_tokens=1, output_tokens=1, cost=0.0, **WHERE[number % 3],
    )  # fmt: skip


def judgment(number: int, vote: int, verdict: Any) -> Judgment:
    """A vote on `s<number>`."""
    return Judgment(
        id=f"j{number}{vote}", solution_id=f"s{number}", instruction_id=f"i{number}", split="train", vote=vote,
        verdict=verdict, reason=EVIL, model=EVIL, prompt_digest="p", seed=1, input_tokens=1, output_tokens=1, cost=0.0,
        **WHERE[number % 3],
    )  # fmt: skip


def tool(name: str, category: str = "Weather") -> Tool:
    """A tool with hostile texts."""
    return Tool(
        id=f"{category}/{name}", name=name, title=EVIL, description=EVIL, category=category, collections=["Trip"],
        base_url="", origin="toolenv", split="train", digest="d",
    )  # fmt: skip


def api(name: str, of: str = "sky", category: str = "Weather") -> Api:
    """An API with hostile texts."""
    return Api(
        id=f"{category}/{of}/{name}", tool_id=f"{category}/{of}", tool=of, name=f"{name} {EVIL}", category=category,
        collections=[], description=EVIL, method="GET", url="http://x/", parameters=[], function=name,
        definition="{}", digest="d",
    )  # fmt: skip


def conversation(number: int) -> Conversation:
    """The conversation of `s<number>`: the assistant's turn is learned."""
    messages = [
        Message(role="user", content=EVIL),
        Message(
            role="assistant", content=EVIL, train=True, tool_calls=[FunctionCall(id="1", name=EVIL, arguments=EVIL)]
        ),
    ]
    return Conversation(
        id=f"s{number}", instruction_id=f"i{number}", solution_id=f"s{number}", split="train", tools=EVIL,
        messages=messages, model="gpt", **WHERE[number % 3],
    )  # fmt: skip


def run(id_: str, stage: str, started: str, rejected: int, model: str = "gpt") -> Run:
    """A run that took in ten."""
    return Run(
        id=id_, flow="nightly", stage=stage, started_at=started, seconds=1.5, shards=2, shards_reused=1, taken_in=10,
        passed_on=10 - rejected, rejected=rejected, calls=7, input_tokens=1000, output_tokens=100, cost=0.25,
        model=model,
    )  # fmt: skip


def reject(number: int, stage: str, reason: str) -> Reject:
    """Something a stage rejected."""
    return Reject(id=f"r{number}", stage=stage, record_id="x", reason=reason, detail=EVIL)


def api_call(number: int, status: int, source: Any) -> ApiCall:
    """An API call."""
    return ApiCall(
        id=f"a{number}", solution_id="s1", step=1, api_id="Weather/sky/now", category="Weather", arguments="{}",
        status=status, source=source, error=EVIL, response=EVIL,
    )  # fmt: skip


def rows(model: str = "gpt") -> dict[type[Record], list[Record]]:
    """Three instructions: one solved after back-tracking, one solved straight, one that gave up."""
    solutions = [
        solution(0, FORKED, [1, 3, 4], model=model), solution(1, STRAIGHT, [1, 2], model=model),
        solution(2, [step(0, -1), call(1, 0, 4, "Finish")], [1], "gave_up", model=model),
    ]  # fmt: skip
    pairs = [
        RetrievalPair(
            id=f"p{n}", query_id=f"i{n}", query=EVIL, api_id="Weather/sky/now", document=EVIL,
            split="tool" if n == 1 else "train", model="gpt", **WHERE[n],
        )
        for n in range(3)
    ]  # fmt: skip
    return {
        Tool: [tool("sky"), tool("rain"), tool("stocks", "Finance")],
        Api: [api("now"), api("later"), api("price", "stocks", "Finance")],
        Instruction: [instruction(n, model) for n in range(3)],
        Solution: list(solutions),
        ApiCall: [api_call(0, 0, "live"), api_call(1, 0, "recorded"), api_call(2, 5, "live")],
        Conversation: [conversation(0), conversation(1)],
        RetrievalPair: list(pairs),
        Judgment: [
            judgment(0, 0, "solved"), judgment(0, 1, "unsure"), judgment(1, 0, "unsolved"), judgment(2, 0, "unsolved"),
        ],
        Reject: [
            reject(0, "dataset", "gave_up"), reject(1, "apis", EVIL), reject(2, "apis", EVIL),
            reject(3, "apis", "html"),
        ],
        Run: [
            run("a", "apis", "2025-01-01T00:00:00Z", 9), run("b", "apis", "2025-01-02T00:00:00Z", 3),
            replace(
                run("c", "dataset", "2025-01-02T01:00:00Z", 1, EVIL),
                reasons=json.dumps({"a": 1, "too_short": 7, "b": 1, "unsafe": 2}),
            ),
        ],
    }  # fmt: skip


def evaluation(name: str, rate: float) -> dict[str, Any]:
    """A stored pass rate over four queries, as the fields of its row."""
    judge = JudgePin(model="judge", prompts={"a": "b"}, votes=1, temperature=0.0, schema_version=1)
    nothing = dict.fromkeys(Checks.model_fields)
    split = SplitResult(
        split="all", queries=4, missing=[], pass_rate=Rate(mean=rate, low=rate - 0.1, high=rate + 0.1, n=4),
        vote_rates=[rate], vote_variance=None, checks=Checks(**{**nothing, "cost": 0.0}),
    )  # fmt: skip
    found = PassRun(
        id=digest(name), name=name, method="dfsdt", model="gpt", answers=EVIL, test_set="instructions",
        counting="paper", unsure=0.5, judge=judge, fingerprint=judge.fingerprint, seed=0, judging=Judging(),
        splits=[split], queries=[],
    )  # fmt: skip
    return {
        "id": found.id, "kind": "pass", "name": name, "method": "dfsdt", "model": "gpt", "queries": 4, "rate": rate,
        "fingerprint": found.fingerprint, "document": dump(found),
    }  # fmt: skip


def figures(mean: float, error: float | None) -> dict[str, Any]:
    """What the retriever reports for one slice."""
    return {"queries": 4, "ndcg@1": {"mean": mean - 0.1, "se": error}, "ndcg@5": {"mean": mean, "se": error}}


RETRIEVER = {
    "before": {"all": figures(0.5, 0.05), "group": {"I1": figures(0.4, None)}},
    "after": {"all": figures(0.75, 0.04), "group": {"I1": figures(0.8, None)}},
}


def publish(lake: Lake, what: dict[type[Record], list[Record]], metrics: dict[str, Any] | None = None) -> Snapshot:
    """Publish rows as two shards, so that no figure can come from a single file."""
    draft = Draft()
    for half in range(2):
        part = {kind: items[half::2] for kind, items in what.items()}
        content = digest([str(item) for items in part.values() for item in items])
        spec = Spec(stage="test", label="", partition={"half": str(half)}, records=[], content=content, params={})
        receipt = lake.finish(spec, part, taken_in=1, passed_on=1)
        draft.add([receipt], tuple(kind.TABLE for kind in part if kind is not Reject))
    if metrics is not None:
        draft.models["retriever"] = ModelEntry(path="models/retriever/x", files={}, metrics=metrics, spec="x")
    return lake.publish(draft, EVIL)
