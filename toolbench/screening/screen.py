"""Screening as a stage: which APIs are fit to be used (ToolLLM, section 2.1), one verdict an API and night."""

import asyncio
import datetime
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from toolbench.apis import identity
from toolbench.concurrency import in_order
from toolbench.digests import digest
from toolbench.errors import UsageError
from toolbench.lake import Entry, Journal, Lake, Partition, Receipt, Snapshot, Spec, labels
from toolbench.night import check_time
from toolbench.records import Api, Tool, Verdict
from toolbench.screening import memory, rulebook
from toolbench.screening.arguments import without_value
from toolbench.screening.asking import Asker, real_sources, without_simulation
from toolbench.screening.rulebook import Rulebook
from toolbench.screening.rules import Finding, Observed, decide, p95
from toolbench.screening.unsuitable import Hit, unsuitable
from toolbench.settings import Settings

STAGE = "screening"
TABLES = ("verdicts",)
VERSION = 1
"""Raised when this module would write other rows from the same specification."""

_LARGER = 10
"""A shard holds so many times the APIs that one of the other stages holds records: most take no call, or two."""
_SHOWN = 1000
"""Characters of a response that are kept as evidence."""


def tonight() -> str:
    """The night it is by the clock, as an ISO date in UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def plan(lake: Lake, view: Snapshot, settings: Settings, night: str) -> list[Spec]:
    """Shard specifications for a screening of all APIs of the wanted categories, by source and category.

    `night` is an ISO date. Raises UsageError for rules that cannot be read.
    """
    try:
        night = datetime.date.fromisoformat(night).isoformat()
    except ValueError:
        raise UsageError(f"The night {night!r} is no date: write it as 2025-06-21.") from None
    params = {
        "version": VERSION,
        "rules": rulebook.load(settings.screening.rules).digest,
        "calls": settings.screening.calls,
        "slow": settings.screening.slow,
        "nights": settings.screening.nights,
        "night": night,
        "sources": identity(without_simulation(settings)) if real_sources(settings) else {},
    }
    specs: list[Spec] = []
    for partition in _partitions(view, settings):
        inputs = {table: _files(view, table, partition) for table in ("apis", "tools")}
        known = memory.before(lake, _files(view, "verdicts", partition), night)
        tools = {tool.id: tool.digest for tool in lake.read(inputs["tools"], Tool)}
        apis = sorted(lake.read(inputs["apis"], Api), key=lambda api: (api.tool_id, api.id))
        chunks = list(_chunks(apis, settings.work.shard_size * _LARGER))
        for label, chunk in zip(labels(partition, len(chunks)), chunks, strict=True):
            specs.append(
                Spec(
                    stage=STAGE,
                    label=label,
                    partition=partition,
                    records=[api.id for api in chunk],
                    content=digest([[api.id, api.digest, tools.get(api.tool_id, "")] for api in chunk]),
                    params={**params, **known.of(api.id for api in chunk)},
                    inputs=inputs,
                    size=len(chunk),
                )
            )
    return specs


def _partitions(view: Snapshot, settings: Settings) -> list[Partition]:
    # APIs that came with a file of instructions are there for these alone.
    found = {(p["source"], p["category"]): p for p in (e.partition for e in view.entries("apis")) if "source" in p}
    wanted = settings.catalogue.categories
    return [found[key] for key in sorted(found) if not wanted or key[1] in wanted]


def _files(view: Snapshot, table: str, partition: Partition) -> list[Entry]:
    return [entry for entry in view.entries(table) if entry.partition == partition]


def _chunks(apis: Sequence[Api], size: int) -> Iterator[list[Api]]:
    """The APIs in shards of about `size`; a tool's stay together, since it is rated as a whole."""
    chunk: list[Api] = []
    for api in apis:
        if len(chunk) >= size and api.tool_id != chunk[-1].tool_id:
            yield chunk
            chunk = []
        chunk.append(api)
    if chunk:
        yield chunk


async def screen(lake: Lake, spec: Spec, settings: Settings, done: Callable[[], None]) -> Receipt:
    """Work on one shard: rate each API, write one verdict for each. Raises UsageError if the rules were changed,
    BudgetError when the time of the run is up."""
    rules = rulebook.load(settings.screening.rules)
    if rules.digest != spec.params["rules"]:
        raise UsageError(
            f"The screening rules {settings.screening.rules or 'of toolbench'} are not those that {spec.label} was "
            "planned with; run the same command again."
        )
    wanted = set(spec.records)
    apis = {api.id: api for api in await lake.fetch(spec.inputs["apis"], Api, wanted)}
    tools = {tool.id: tool for tool in await lake.fetch(spec.inputs["tools"], Tool)}
    barred = _barred([apis[name] for name in spec.records], tools, rules)
    check_time(lake, settings)

    async with Journal(lake, spec.digest) as journal, Asker(journal, settings) as asker:

        async def one(name: str) -> Verdict:
            api = apis[name]
            if hit := barred.get(name):
                return _verdict(spec, api, Finding("unsuitable", hit.reason), hit.evidence, [])
            if calls := await asker.observe(api):
                return _rated(spec, api, calls, rules)
            return _unknown(spec, api, asker.refusal(api))

        # All at once: each waits for its host's turn, and no host for another's.
        verdicts = await in_order(spec.records, one, limit=len(spec.records), done=done)
        await journal.compact()
    return await asyncio.to_thread(
        lake.finish,
        spec,
        {Verdict: verdicts},
        taken_in=len(verdicts),
        passed_on=len(verdicts),
        outcomes=_outcomes(verdicts, frozenset(spec.params["retired"])),
    )


def _barred(apis: Sequence[Api], tools: Mapping[str, Tool], rules: Rulebook) -> dict[str, Hit]:
    """Why some of the APIs are never offered, whatever they answer."""
    by_tool: dict[str, list[Api]] = {}
    for api in apis:
        by_tool.setdefault(api.tool_id, []).append(api)
    found: dict[str, Hit] = {}
    for tool_id, members in by_tool.items():
        if tool_id in tools:
            found.update(unsuitable(tools[tool_id], members, rules))
    return found


def _rated(spec: Spec, api: Api, calls: Sequence[Observed], rules: Rulebook) -> Verdict:
    evidence = json.dumps([_evidence(call) for call in calls], ensure_ascii=False)
    return _verdict(spec, api, decide(calls, rules, spec.params["slow"]), evidence, calls)


def _unknown(spec: Spec, api: Api, refusal: str) -> Verdict:
    """The verdict on an API that could not be called."""
    reason = "not_allowed" if refusal else "no_documented_value"
    text = refusal or ", ".join(without_value(api))
    return _verdict(spec, api, Finding("unknown", reason), json.dumps({"rule": reason, "text": text}), [])


def _verdict(spec: Spec, api: Api, found: Finding, evidence: str, calls: Sequence[Observed]) -> Verdict:
    failed, retired = memory.after(found.verdict, spec.params["failed"].get(api.id, 0), spec.params["nights"])
    return Verdict(
        id=api.id,
        tool_id=api.tool_id,
        category=api.category,
        verdict=found.verdict,
        reason=found.reason,
        evidence=evidence,
        calls=sum(call.source != "none" for call in calls),
        p95=p95(calls),
        night=spec.params["night"],
        failed_nights=failed,
        retired=retired,
        spec=spec.digest,
    )


def _evidence(call: Observed) -> dict[str, Any]:
    answer = call.answer.response
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return {
        "arguments": dict(call.arguments),
        "status": call.answer.status,
        "source": call.source,
        "seconds": call.seconds,
        "error": call.answer.error,
        "response": text if len(text) <= _SHOWN else text[:_SHOWN] + "…",
    }


def _outcomes(verdicts: Sequence[Verdict], retired_before: frozenset[str]) -> dict[str, int]:
    counts = Counter[str](verdict.verdict for verdict in verdicts)
    counts["newly_retired"] = sum(v.retired and v.id not in retired_before for v in verdicts)
    counts["revived"] = sum(not v.retired and v.id in retired_before for v in verdicts)
    return dict(counts)
