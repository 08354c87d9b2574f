"""The task that rates APIs."""

import json

from workshop import a_tool, an_api

from tasks.screen import screen_shard
from toolbench import screening
from toolbench.lake import Draft, Lake, Spec
from toolbench.progress import Counter
from toolbench.records import Api, Tool, Verdict
from toolbench.settings import Settings


def test_a_shard_is_worked_on_once_and_counted(lake: Lake) -> None:
    api = an_api("Sky", "clouds")
    where = {"source": "crawl", "category": "Weather"}
    catalogue = Spec(stage="catalogue", label="", partition=where, records=[], content="", params={})
    draft = Draft()
    receipt = lake.finish(catalogue, {Api: [api], Tool: [a_tool(api)]}, taken_in=1, passed_on=1)
    draft.add([receipt], ("apis", "tools"))
    settings = Settings(lake=lake.uri)
    (spec,) = screening.plan(lake, lake.publish(draft, "test"), settings, "2025-01-01")
    arguments = {"lake": lake, "spec": lake.put_spec(spec), "settings": settings, "label": spec.label}
    counter = Counter(screening.STAGE, 1)
    receipt = screen_shard(**arguments, counter=counter)
    assert screen_shard(**arguments, counter=Counter(screening.STAGE, 1)) == receipt == lake.receipt(spec.digest)
    assert counter.done == 1
    (row,) = lake.read([receipt.tables["verdicts"]], Verdict)
    assert (row.id, row.verdict, row.reason) == (api.id, "unknown", "not_allowed")
    assert "sky.example.org" in json.loads(row.evidence)["text"]
    assert screen_shard.name == "screen"
