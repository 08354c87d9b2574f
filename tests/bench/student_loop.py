"""A student that learns, from nothing: data → base → adapter → served → searched → judged, before and after.

    python tests/bench/student_loop.py [--folder DIR] [--categories Science,Tools] [--instructions 2000] [--queries 0]

On the CPU, without a key, a network or a model from anywhere. The offline teacher writes instructions for the demo
hub's APIs and solves them, in two lakes. `student bootstrap` makes a Llama of some ten million parameters from the
training split's texts of the first, whose categories are all but `--categories`: it learns how tools are used, without
system prompt and functions, and has read nothing of the APIs to come. `student train` tunes it on the conversations of
the second, as a student is asked. `student promote` serves both, has them search that lake's held-out instructions with
ReAct, greedily, and has the answers judged. Commands are printed as they are run. With --folder, what was done there is
not done again.

The offline judge looks at words and values of the question, and does not know what the hub says: an answer that is made
up can please it. So a stricter count stands beside it, `right`: for every call of the teacher's own solution that
succeeded, one response told the student at least half of the same values, and its answer passes one of them on.
"""

import argparse
import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from search_world import Question, facts_of, right

from toolbench import catalogue, datasets, demo, instructions, solutions, tooleval
from toolbench.lake import Draft, Lake, Spec
from toolbench.records import Answered, Response
from toolbench.services import services
from toolbench.settings import Settings
from toolbench.statistics import wilson
from toolbench.student.promotion import BASE, NEWEST, TRAINED
from toolbench.tooleval.gathering import LakeQueries

ASKED = {
    "TOOLBENCH_TEACHER__MAX_OUTPUT_TOKENS": "192",
    "TOOLBENCH_SEARCH__MAX_CALLS": "6",
    "TOOLBENCH_JUDGE__VOTES": "1",
    "TOOLBENCH_JUDGE__MAX_OUTPUT_TOKENS": "1024",
}
"""A base that never learned to end would write on and on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="keeps the lakes and the base")
    parser.add_argument("--categories", default="Science,Tools", help="what the student is tuned for, of the demo hub")
    parser.add_argument("--read", type=int, default=6000, help="instructions of the other categories, for the base")
    parser.add_argument("--instructions", type=int, default=2000, help="aimed at; near-duplicates are rejected")
    parser.add_argument("--steps", type=int, default=3500, help="of the pre-training, 1,024 tokens each")
    parser.add_argument("--tuned", type=int, default=1000, help="steps of the tuning, four conversations each")
    parser.add_argument("--queries", type=int, default=0, help="held-out instructions asked; 0: all")
    wanted = parser.parse_args()
    if wanted.folder:
        loop(wanted, wanted.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        loop(wanted, Path(folder))


def loop(wanted: argparse.Namespace, folder: Path) -> None:
    """Everything, and the table."""
    first, lake, base = Lake(str(folder / "first")), Lake(str(folder / "lake")), folder / "base"
    tuned = tuple(wanted.categories.split(","))
    if not first.numbers():
        others = tuple(sorted({d["info"]["x-category"] for d in demo.documents()} - set(tuned)))
        timed("data of the base", lambda: write(first, others, wanted.read))
    if not lake.numbers():
        timed("data", lambda: write(lake, tuned, wanted.instructions))
    if not (base / "bootstrap.json").is_file():
        run("bootstrap", "--lake", first.uri, "--out", str(base), "--preset", "10m", "--conversations", "short",
            "--block", "1024", "--batch-size", "1", "--learning-rate", "1.5e-3",
            "--steps", str(wanted.steps))  # fmt: skip
    run("train", "--lake", lake.uri, "--base", str(base), "--rank", "64", "--alpha", "128", "--learning-rate", "2e-3",
        "--batch-size", "4", "--dropout", "0", "--steps", str(wanted.tuned))  # fmt: skip
    run("promote", "--lake", lake.uri, "--queries", str(wanted.queries), **ASKED)
    print(table(lake, json.loads((base / "bootstrap.json").read_text(encoding="utf-8"))))


def write(lake: Lake, categories: tuple[str, ...], count: int) -> None:
    """Instructions, solutions, votes and conversations in the lake, the stages one after the other."""
    wanted = Settings(
        lake=lake.uri,
        catalogue={"categories": categories, "tool_holdout": 0, "category_holdout": 0},
        judge={"votes": 1},
        instructions={"total": count, "per_combination": 20, "groups": ("I1",)},
    )
    with services(wanted) as settings:
        draft = Draft()
        draft.add(catalogue.collect(lake, settings)[0], catalogue.TABLES)
        view = lake.publish(draft, "collect-apis")

        def stage(room: ModuleType, specs: list[Spec], work: Any, told: Settings = settings) -> None:
            nonlocal view
            draft = Draft()
            draft.add([asyncio.run(work(lake, spec, told, lambda: None)) for spec in specs], room.TABLES)
            view = lake.publish(draft, room.STAGE)

        known = sorted({e.partition["category"] for e in view.entries("apis")})
        stage(instructions, instructions.plan(lake, view, settings, categories=known), instructions.generate)
        parts = list(
            {json.dumps(e.partition, sort_keys=True): e.partition for e in view.entries("instructions")}.values()
        )
        stage(solutions, solutions.plan(lake, view, settings, partitions=parts), solutions.annotate)
        stage(tooleval, tooleval.plan(view, settings, partitions=parts), tooleval.judge, settings.as_judge())
        stage(datasets, datasets.plan(view, partitions=parts), datasets.build)


def run(*arguments: str, **environment: str) -> None:
    """One command of `toolbench student`, shown with the settings that it is given."""
    shown = " ".join(
        [*(f"{name}={value}" for name, value in environment.items()), "toolbench student", shlex.join(arguments)]
    )
    print(f"\n$ {shown}", flush=True)
    command = [sys.executable, "-m", "toolbench", "student", *arguments]
    timed(arguments[0], lambda: subprocess.run(command, check=True, env={**os.environ, **environment}))


def timed(what: str, work: Any) -> None:
    """Do it, and say how long it took."""
    started, cpu = time.monotonic(), os.times()
    work()
    now = os.times()
    spent = sum(now[:4]) - sum(cpu[:4])
    print(f"{what}: {time.monotonic() - started:.0f} s, {spent:.0f} s of them on a processor", flush=True)


def table(lake: Lake, made: dict[str, Any]) -> str:
    """What was learned, as Markdown."""
    view = lake.snapshot()
    metrics = view.models[NEWEST].metrics
    losses = made["losses"]
    tuned = json.loads(lake.store.read(f"{view.models[NEWEST].path}/metrics.json"))["losses"]
    lines = [
        "",
        f"base: {made['parameters']:,} parameters, loss {losses[0]:.2f} in step 1, {mean(losses[-10:]):.2f} in the "
        f"last ten of {len(losses)} steps, {made['tokens_per_second']:,.0f} tokens/s",
        f"adapter: {metrics['trainable_parameters']:,} parameters, {metrics['conversations']} conversations, "
        f"loss {mean(tuned[:5]):.3f} in the first five, {mean(tuned[-5:]):.3f} in the last five of {len(tuned)} steps; "
        f"on {metrics['held_out']} held-out conversations {metrics['loss_before']:.3f} before, "
        f"{metrics['loss_after']:.3f} after",
        "",
        "| | solved, says the judge | pass rate | right | 95% interval (Wilson) |",
        "|---|---|---|---|---|",
    ]
    correct = rights(lake)
    for name, model in ((BASE, "base"), (TRAINED, "student")):
        found, hits = metrics["measured"][name], correct[model]
        low, high = wilson(len(hits), found["queries"]) or (0.0, 1.0)
        lines.append(
            f"| {name} | {found['solved']} of {found['queries']} | {found['pass_rate']} "
            f"| {len(hits)} of {found['queries']} | {100 * low:.1f}% to {100 * high:.1f}% |"
        )
    gained, lost = correct["student"] - correct["base"], correct["base"] - correct["student"]
    lines += ["", f"right by the student alone: {len(gained)}; by the untuned base alone: {len(lost)}"]
    return "\n".join([*lines, metrics["decision"]["sentence"]])


def rights(lake: Lake) -> dict[str, set[str]]:
    """`base` and `student` → the held-out questions that each answers rightly."""
    view = lake.snapshot()
    queries = LakeQueries(lake, view)
    known = {row.id: queries.query(partition, row) for partition, row in queries.instructions() if row.split != "train"}
    truths = {
        row.query: tuple(facts for said in observed(row) if (facts := facts_of(said, row.query)))
        for row in queries.answers(known, view.entries("solutions"), "teacher")
        if row.finish == "answer"
    }
    found: dict[str, set[str]] = {"base": set(), "student": set()}
    for row in lake.rows(view, Answered):
        facts = truths.get(row.query, ())
        question = Question(row.query_id, "", row.query, (), facts)
        if facts and right(question, row.final_answer, observed(row)):
            found[row.model.partition("-")[0]].add(row.query)
    return found


def observed(row: Answered) -> list[Response]:
    """What the API calls along the path came back with; what was cut so that it is no JSON any more is left out."""
    found = []
    for turn in row.turns:
        try:
            said = json.loads(turn.response) if turn.function else None
        except ValueError:
            continue
        if isinstance(said, dict) and said.keys() == {"error", "response"}:
            found.append(Response(error=said["error"], response=said["response"], status=turn.status or 0))
    return found


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
