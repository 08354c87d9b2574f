"""The task that has the keys of long responses named."""

import dataclasses
import json

from workshop import Server, an_api, settings_for

from tasks.compress import compress_shard
from toolbench import compression
from toolbench.lake import Draft, Lake, Spec
from toolbench.progress import Counter
from toolbench.records import Api, ResponseKeys


def test_a_shard_is_worked_on_once_and_counted(lake: Lake, honest_teacher: Server) -> None:
    example = [{"name": f"Cloud {n}", "height": n} for n in range(99)]
    api = dataclasses.replace(an_api("Sky", "clouds"), response_example=json.dumps(example))
    where = {"source": "crawl", "category": "Weather"}
    catalogue = Spec(stage="catalogue", label="", partition=where, records=[], content="", params={})
    draft = Draft()
    draft.add([lake.finish(catalogue, {Api: [api]}, taken_in=1, passed_on=1)], ("apis",))
    settings = settings_for(lake, honest_teacher.url, compression={"max_tokens": 200})
    (spec,) = compression.plan(lake, lake.publish(draft, "test"), settings, categories=["Weather"])
    arguments = {"lake": lake, "spec": lake.put_spec(spec), "settings": settings, "label": spec.label}
    counter = Counter(compression.STAGE, 1)
    honest_teacher.reset()
    receipt = compress_shard(**arguments, counter=counter)
    assert compress_shard(**arguments, counter=Counter(compression.STAGE, 1)) == receipt == lake.receipt(spec.digest)
    assert (honest_teacher.asked(), counter.done) == (1, 1)
    (row,) = lake.read([receipt.tables["response_keys"]], ResponseKeys)
    assert set(row.keys) == {"[].name", "[].height"}
    assert compress_shard.name == "compress"
