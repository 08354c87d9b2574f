"""Asking a model APIBench's questions: zero-shot, journaled, a shard at a time."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toolbench import prompts
from toolbench.concurrency import in_order
from toolbench.digests import digest, seed_of
from toolbench.lake import Lake, Receipt, Spec
from toolbench.records import ApiBenchAnswer, Reject
from toolbench.settings import Settings
from toolbench.tooleval.apibench.data import HUBS, Bench, Question
from toolbench.tooleval.apibench.documents import Mode, Retrieve, shown
from toolbench.world import World, chat_identity

STAGE = "apibench"
TABLES = ("apibench_answers", "rejects")
VERSION = 1

_ROOM = "toolbench.tooleval.apibench"


@dataclass(frozen=True, slots=True)
class Asking:
    """A shard: its specification, the questions, and the message for each."""

    spec: Spec
    questions: Sequence[Question]
    messages: Sequence[str]


def plan(
    bench: Bench, settings: Settings, *, documents: Mode, top: int = 1, limit: int = 0, retrieve: Retrieve | None = None
) -> list[Asking]:
    """The shards for the first `limit` questions (0: all) of a set, each with the `top` documents retrieved for it.

    What a question is shown is part of its shard's name: another retriever makes another shard.
    """
    questions = list(bench.questions[: limit or None])
    size = settings.work.shard_size
    count = -(-len(questions) // size)
    askings = []
    for number, start in enumerate(range(0, len(questions), size), 1):
        part = questions[start : start + size]
        messages = [_message(bench, question, documents, top, retrieve) for question in part]
        spec = Spec(
            stage=STAGE,
            label=f"{bench.set} {documents} {number}/{count}",
            partition={"set": bench.set, "documents": documents, "model": settings.teacher.model},
            records=[question.id for question in part],
            content=digest([[q.reference for q in part], messages]),
            params={
                "version": VERSION,
                **chat_identity(settings, temperature=0),
                "prompts": {"ask": prompts.load(_ROOM, "ask").digest},
                "documents": documents,
                "top": top if documents in ("bm25", "retriever") else 0,
                "seed": settings.seed,
            },
            size=len(part),
        )
        askings.append(Asking(spec, part, messages))
    return askings


async def ask(lake: Lake, asking: Asking, settings: Settings, done: Callable[[], None]) -> Receipt:
    """Work on one shard: an answer to every question, whatever it says; a reject where there is no reply.

    Raises TeacherError, TransientError, LakeError.
    """
    spec = asking.spec
    async with World(lake, spec, settings) as world:

        async def one(place: int) -> ApiBenchAnswer | Reject:
            return await _asked(world, spec, asking.questions[place], asking.messages[place])

        rows = await in_order(range(spec.size), one, limit=settings.teacher.max_concurrency, done=done)
        await world.journal.compact()
    answers = [row for row in rows if isinstance(row, ApiBenchAnswer)]
    return lake.finish(
        spec,
        {ApiBenchAnswer: answers, Reject: [row for row in rows if isinstance(row, Reject)]},
        taken_in=spec.size,
        passed_on=len(answers),
        usage=world.usage,
        model=settings.teacher.model,
    )


def _message(bench: Bench, question: Question, mode: Mode, top: int, retrieve: Retrieve | None) -> str:
    documents = [document.fields for document in shown(bench, question, mode, top, retrieve)]
    case = json.dumps({"question": question.text, "documents": documents}, ensure_ascii=False)
    return prompts.load(_ROOM, "ask").render(hub=HUBS[bench.set], documents=bool(documents), case=case)


async def _asked(world: World, spec: Spec, question: Question, message: str) -> ApiBenchAnswer | Reject:
    seed = seed_of(spec.params["seed"], question.id)
    reply = await world.chat(question.id, [{"role": "user", "content": message}], seed=seed, temperature=0)
    if reply.error:
        return Reject(
            id=digest([STAGE, spec.digest, question.id]),
            stage=STAGE,
            record_id=question.id,
            reason="no_reply",
            detail=f"Question {question.id} has no answer and counts as a miss: {reply.error}.",
            spec=spec.digest,
        )
    return ApiBenchAnswer(
        id=digest([spec.params, question.id]),
        question_id=question.id,
        set=question.set,
        documents=spec.params["documents"],
        text=reply.content or "",
        model=reply.model,
        prompt_digest=spec.params["prompts"]["ask"],
        seed=seed,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost=reply.cost,
        spec=spec.digest,
    )
