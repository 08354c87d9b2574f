"""What a refresh changed, by id and content."""

import json
from pathlib import Path
from typing import Any

from toolbench.catalogue import STAGE, TABLES, Changes, collect, settle
from toolbench.lake import Draft, Lake, Outcome
from toolbench.settings import Settings


def tool(name: str, *apis: str, about: str = "") -> dict[str, Any]:
    listed = [
        {"name": a, "url": f"https://x.test/{a}", "method": "GET", "description": about, "required_parameters": [],
         "optional_parameters": []} for a in apis
    ]  # fmt: skip
    return {"tool_name": name, "tool_description": name, "host": "x.test", "api_list": listed}


def put(folder: Path, category: str, document: dict[str, Any]) -> None:
    (folder / category).mkdir(parents=True, exist_ok=True)
    (folder / category / f"{document['tool_name']}.json").write_text(json.dumps(document))


def bring_in(lake: Lake, folder: Path, *categories: str) -> Changes:
    settings = Settings().with_(catalogue={"source": str(folder), "categories": categories})
    receipts, reused = collect(lake, settings)
    draft = Draft()
    changed = settle(lake, draft, settings, receipts)
    Outcome(STAGE, receipts, reused, 0.0, changed.counts).add_to(draft, flow="t", main="apis", tables=TABLES, model="")
    lake.publish(draft, "t")
    return changed


def test_a_refresh_names_what_is_new_changed_gone_and_as_it_was(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    put(folder, "Weather", tool("sky", "now", "later"))
    put(folder, "Music", tool("song", "play", "stop"))
    first = bring_in(lake, folder)
    assert first.counts == {"added": 4, "changed": 0, "removed": 0, "unchanged": 0}
    assert bring_in(lake, folder).counts == {"added": 0, "changed": 0, "removed": 0, "unchanged": 4}

    put(folder, "Weather", tool("sky", "now", "tomorrow", about="in words"))
    put(folder, "Sports", tool("ball", "kick"))
    third = bring_in(lake, folder)
    assert third == Changes(
        added=["Sports/ball/kick", "Weather/sky/tomorrow"],
        changed=["Weather/sky/now"],
        removed=["Weather/sky/later"],
        unchanged=2,
    )
    assert lake.snapshot().rows("apis") == 5


def test_a_category_that_is_gone_from_the_source_leaves_the_lake(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    put(folder, "Weather", tool("sky", "now"))
    put(folder, "Music", tool("song", "play", "stop"))
    bring_in(lake, folder)
    (folder / "Music" / "song.json").unlink()
    assert bring_in(lake, folder).removed == ["Music/song/play", "Music/song/stop"]
    assert lake.snapshot().rows("apis") == 1


def test_what_was_not_read_was_not_removed(lake: Lake, tmp_path: Path) -> None:
    folder, other = tmp_path / "tools", tmp_path / "others"
    put(folder, "Weather", tool("sky", "now"))
    put(folder, "Music", tool("song", "play"))
    put(other, "Weather", tool("rain", "when"))
    bring_in(lake, folder)
    assert bring_in(lake, folder, "Weather").counts == {"added": 0, "changed": 0, "removed": 0, "unchanged": 1}
    assert bring_in(lake, other).counts == {"added": 1, "changed": 0, "removed": 0, "unchanged": 0}
    assert lake.snapshot().rows("apis") == 3
