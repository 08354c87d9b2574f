"""A report that follows its lake: built again for each new snapshot, beside what a night is at."""

import shutil
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolbench.errors import ToolbenchError
from toolbench.lake import Lake
from toolbench.report.build import PAGES, build
from toolbench.report.progress import Stage, under_way
from toolbench.report.site import Site

_EVERY = 1.0
"""Seconds between two looks at the lake, at least; a look may take a tenth of the time."""


@dataclass(frozen=True, slots=True)
class State:
    """What a page is told."""

    report: int = 0
    """The snapshot that is shown; 0: none was published yet."""
    snapshot: int = 0
    """The newest there is."""
    building: bool = False
    stages: tuple[Stage, ...] = ()
    problem: str = ""
    """Why the newest could not be made into pages."""

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"stages": [stage._asdict() for stage in self.stages]}


class Viewer:
    """`with Viewer(lake, folder) as viewer:` keeps a report of the newest snapshot below `folder`."""

    def __init__(self, lake: Lake, folder: Path, *, labels: Path | None = None, answers: str = "") -> None:
        self._lake, self._folder = lake, folder
        self._labels, self._answers = labels, answers
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.state = State()
        self.ending = False
        """The server is about to end."""
        self.root = folder / "0"
        """The folder with the pages that are shown."""

    def __enter__(self) -> "Viewer":
        newest = max(self._lake.numbers(), default=0)
        self._show(newest)
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        wait = _EVERY
        while not self._stop.wait(wait):
            began = time.monotonic()
            try:
                self.look()
            except (ToolbenchError, OSError) as error:
                self._say(building=False, problem=str(error))
            wait = max(_EVERY, 9 * (time.monotonic() - began))

    def look(self) -> None:
        """Look at the lake once, and build what is new. Raises ToolbenchError if the lake cannot be read."""
        newest = max(self._lake.numbers(), default=0)
        if newest not in (self.state.report, self.state.snapshot):
            self._say(snapshot=newest, building=True)
            self._show(newest)
        self._say(stages=tuple(under_way(self._lake)))

    def _show(self, number: int) -> None:
        target = self._folder / str(number)
        if number:
            build(self._lake, target, number, labels=self._labels, live=True, answers=self._answers)
        else:
            values = {"number": 0, "created_at": "", "flow": "", "offline": False, "live": True, "answers": ""}
            site = Site(target, {**values, "pages": PAGES[:1]})
            site.open()
            (target / "index.html").write_bytes(site.page("waiting", place=self._lake.uri).read_bytes())
        before, self.root = self.root, target
        self.state = State(report=number, snapshot=number, stages=self.state.stages)
        if before != target:
            shutil.rmtree(before, ignore_errors=True)

    def _say(self, **changed: Any) -> None:
        now = {name: getattr(self.state, name) for name in ("report", "snapshot", "building", "stages", "problem")}
        self.state = State(**{**now, **changed})
