"""How much the tree is worth: solve rates of the search methods while APIs fail (ToolLLM, table 3 and figure).

    python tests/bench/search_quality.py [--instructions N] [--seeds K] [--out DIR] [--permanent]

On the demo hub, with 0, 15, 30 and 45% of API calls failing: ReAct (one chain), ReAct@N (fresh chains until as many
replies of the teacher were used as DFSDT used for the same instruction; a chain that was begun may end), DFSDT and
ranked depth-first search. The teacher is the offline one, called in this process.

Solved: the search ended with an answer, and for every relevant API of the instruction it was told, by one response,
what the hub says to the arguments that the instruction was written with, and the answer passes it on (see
`search_world.py`). `pass` is what the offline
judge makes of the same answers, as ToolEval counts: solved 1, unsure 1/2.

A failure is drawn for each call by its number in the search; with `--permanent` for each API once a search, so that
some instructions cannot be solved at all. The same draws meet every method, and every rate.

Intervals: 95%, bootstrap over instructions, all seeds of one together.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_world import Question, World, right, served, world

from toolbench.dialogue import Message
from toolbench.digests import seed_of
from toolbench.plots import Point, lines
from toolbench.records import Api, Reply, Response
from toolbench.settings import Settings
from toolbench.solutions import SearchResult, solve
from toolbench.statistics import Estimate, bootstrap, difference
from toolbench.teacher.client import Teacher
from toolbench.teacher.counts import Counts
from toolbench.teacher.offline import complete, create_app
from toolbench.teacher.offline.judge import verdict
from toolbench.teacher.reading import read

RATES = (0.0, 0.15, 0.30, 0.45)
METHODS = ("ReAct", "ReAct@N", "DFSDT", "ranked DFS")
ALL = "ReAct@N, whole budget"
"""Chains until the budget ends, whatever DFSDT used."""
MOST = 30
"""Replies of the teacher for one instruction at most."""
BUDGETS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 30)
_POINTS = {"solved": 1.0, "unsure": 0.5, "unsolved": 0.0}

Chat = Callable[[list[Message], list[dict[str, Any]] | None, int], Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """One method on one instruction: `calls` are the teacher's replies in all, `before` those before the last chain."""

    instruction: str
    group: str
    outcome: str
    solved: bool
    judged: float
    calls: int
    before: int = 0


def main() -> None:
    """Run, print the tables, draw the plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2, help="searches of one instruction by each method")
    parser.add_argument("--out", type=Path, help="folder for the plots and the table")
    parser.add_argument("--check", type=int, default=0, metavar="N", help="repeat N instructions over HTTP first")
    parser.add_argument("--permanent", action="store_true", help="an API fails for the whole of a search or not at all")
    wanted = parser.parse_args()
    asyncio.run(bench(wanted.instructions, wanted.seeds, wanted.out, wanted.permanent, wanted.check))


async def bench(count: int, seeds: int, out: Path | None, permanent: bool, checked: int) -> None:
    """The whole comparison."""
    started = time.monotonic()
    async with world(count) as (hub, questions):
        if not questions:
            raise SystemExit("No question: the demo hub's answers could not be read.")
        groups = ", ".join(f"{sum(q.group == g for q in questions)} {g}" for g in sorted({q.group for q in questions}))
        print(
            f"{len(questions)} instructions ({groups}), {seeds} seeds; ready after {time.monotonic() - started:.0f} s"
        )
        search, text = Searcher(hub, permanent), list[str]()
        if checked:
            print(await check(hub, questions[:checked], permanent), flush=True)
        for rate in RATES:
            trials: dict[str, list[Trial]] = {name: [] for name in (*METHODS, ALL)}
            for question in questions:
                for seed in range(seeds):
                    for name, trial in (await search.compare(question, rate, seed)).items():
                        trials[name].append(trial)
                search.results.clear()
            text.append(table(rate, trials, permanent))
            print(text[-1], flush=True)
            if out:
                _draw(out, rate, trials)
    print(f"{time.monotonic() - started:.0f} s")
    if out:
        (out / "search_quality.md").write_text("\n".join(text), encoding="utf-8")


async def check(hub: World, questions: Sequence[Question], permanent: bool) -> str:
    """Whether teacher and hub asked over HTTP, every time, lead to the same searches. Raises SystemExit if not."""
    with served(create_app()) as url:
        settings = Settings().with_(teacher={"base_url": f"{url}/v1"})
        async with Teacher(settings.teacher) as teacher:

            async def chat(messages: list[Message], offered: list[dict[str, Any]] | None, seed: int) -> Reply:
                return await teacher.send(teacher.request(messages, seed=seed, tools=offered))

            near = Searcher(hub, permanent)
            far = Searcher(World(hub.chain, hub.tools, forgetful=True), permanent, chat)
            for question in questions:
                if await near.compare(question, 0.3, 0) != await far.compare(question, 0.3, 0):
                    raise SystemExit(f"Over HTTP the searches for {question.text!r} go another way.")
                if near.results != far.results:
                    raise SystemExit(f"Over HTTP the trees for {question.text!r} are others.")
    return f"{len(questions)} instructions over HTTP: {len(near.results)} searches, all the same to the step"


class Searcher:
    """Searches in the world by every method."""

    def __init__(self, hub: World, permanent: bool, chat: Chat | None = None) -> None:
        self._hub, self._permanent = hub, permanent
        self._settings = Settings()
        self._teacher = Teacher(self._settings.teacher)
        self._chat = chat or self._complete
        self.results: list[SearchResult] = []
        """What was found since it was cleared."""

    async def compare(self, question: Question, rate: float, seed: int) -> dict[str, Trial]:
        """Every method on one instruction."""
        tree = await self._tree("dfsdt", question, rate, seed)
        ranked = await self._tree("ranked", question, rate, seed)
        chains = await self._chains(question, rate, seed)
        first = next(t for t in chains if t.before == 0)
        equal = [t for t in chains if t.before < max(1, tree.calls)][-1]
        return {"ReAct": first, "ReAct@N": equal, "DFSDT": tree, "ranked DFS": ranked, ALL: chains[-1]}

    async def _tree(self, method: str, question: Question, rate: float, seed: int) -> Trial:
        settings = self._settings.with_(search={"method": method, "max_calls": MOST})
        return self._trial(question, await self._solve(question, settings, rate, seed, [0], 0))

    async def _chains(self, question: Question, rate: float, seed: int) -> list[Trial]:
        """ReAct@N for every N, until an answer or the budget; the APIs go on failing where the chain before ended."""
        settings, made, trials = self._settings.with_(search={"method": "react"}), [0], list[Trial]()
        while not trials or (trials[-1].calls < MOST and trials[-1].outcome != "solved"):
            before = trials[-1].calls if trials else 0
            result = await self._solve(question, settings, rate, seed, made, len(trials))
            trials.append(self._trial(question, result, before))
        return trials

    async def _solve(
        self, question: Question, settings: Settings, rate: float, seed: int, made: list[int], chain: int
    ) -> SearchResult:
        """`made`: API calls so far, counted on."""

        async def call(api: Api, arguments: str) -> Response:
            made[0] += 1
            which = api.id if self._permanent else made[0]
            return await self._hub.call(api, arguments, rate, f"{question.id}:{seed}:{which}", self._permanent)

        own = seed_of(question.id, seed, chain)
        result = await solve(question.text, question.candidates, self._hub.tools, settings, self._chat, call, seed=own)
        self.results.append(result)
        return result

    async def _complete(self, messages: list[Message], offered: list[dict[str, Any]] | None, seed: int) -> Reply:
        """The offline teacher's reply to what would be sent to it."""
        body = self._teacher.request(messages, seed=seed, tools=offered)
        return read(complete(body), self._settings.teacher.model, (0.0, 0.0), Counts())

    @staticmethod
    def _trial(question: Question, result: SearchResult, before: int = 0) -> Trial:
        answered = result.outcome == "solved"
        steps = [result.steps[i] for i in result.path]
        calls = [{"function": s.function, "status": s.status} for s in steps if s.function and s.function != "Finish"]
        case = {"instruction": question.text, "answer": result.final_answer, "calls": calls}
        return Trial(
            instruction=question.id,
            group=question.group,
            outcome=result.outcome,
            solved=answered and right(question, result.final_answer, [c.response for c in result.calls]),
            judged=_POINTS[verdict(case).verdict] if answered else 0.0,
            calls=before + result.replies,
            before=before,
        )


def table(rate: float, trials: dict[str, list[Trial]], permanent: bool) -> str:
    """One failure rate as a Markdown table."""
    what = "APIs broken for a whole search" if permanent else "API calls failing"
    groups = sorted({t.group for t in trials["ReAct"]})
    head = ["method", *groups, "solved", "more than ReAct@N", "answered", "pass", "calls"]
    rows = [f"\n{rate:.0%} of {what}\n", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    ids = [t.instruction for t in trials["ReAct@N"]]
    base = [float(t.solved) for t in trials["ReAct@N"]]
    for name, of_method in trials.items():
        solved = [float(t.solved) for t in of_method]
        more = "" if name == "ReAct@N" else _known(difference(solved, base, ids)).percent()
        row = [
            name,
            *(_share([t.solved for t in of_method if t.group == group]) for group in groups),
            _known(bootstrap(solved, ids)).percent(),
            more.replace("%", " points"),
            _share([t.outcome == "solved" for t in of_method]),
            _share([t.judged for t in of_method]),
            f"{sum(t.calls for t in of_method) / len(of_method):.1f}",
        ]
        rows.append(f"| {' | '.join(row)} |")
    return "\n".join(rows)


def _share(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.1%}"


def curve(trials: Sequence[Trial]) -> list[tuple[int, Estimate]]:
    """The solve rate within each budget of teacher's replies."""
    ids = [t.instruction for t in trials]
    return [(b, _known(bootstrap([float(t.solved and t.calls <= b) for t in trials], ids))) for b in BUDGETS]


def _draw(out: Path, rate: float, trials: dict[str, list[Trial]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    # At a given budget nothing is left to equalise: all chains that fit into it count.
    shown = {"ReAct": "ReAct", "ReAct@N": ALL, "DFSDT": "DFSDT", "ranked DFS": "ranked DFS"}
    series = {name: [Point(b, e.mean, e.low, e.high) for b, e in curve(trials[key])] for name, key in shown.items()}
    for form in ("svg", "png"):
        picture = lines(
            series,
            title=f"Solved within a budget, {rate:.0%} of API calls failing",
            x="teacher's replies for one instruction at most",
            y="instructions solved",
            form=form,
            percent=True,
        )
        (out / f"search_quality_{round(100 * rate)}.{form}").write_bytes(picture)


def _known(estimate: Estimate | None) -> Estimate:
    if estimate is None:
        raise ValueError("an interval needs observations")
    return estimate


if __name__ == "__main__":
    main()
