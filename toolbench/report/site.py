"""The folder a report is written to: pages, style sheet, scripts, and data that are replaced as a whole."""

import shutil
from pathlib import Path

from toolbench.errors import ToolbenchError
from toolbench.report.pages import render, static

_MARK = "toolbench-report.txt"
_SAID = "Data of a report that toolbench wrote. The next report to this folder removes all of it.\n"


class Site:
    """Pages below a folder that share what `values` tells: `site = Site(folder, {…}); site.page("index", …)`."""

    def __init__(self, folder: Path, values: dict[str, object]) -> None:
        self.folder = folder
        self.values = values

    @property
    def data(self) -> Path:
        """The folder of data files."""
        return self.folder / "data"

    def open(self) -> None:
        """Make room: data of an earlier report go, files that are not the report's stay.

        Raises ToolbenchError if a folder `data` is there that no report wrote.
        """
        if self.data.exists() and not (self.data / _MARK).is_file():
            raise ToolbenchError(
                f"The report cannot be written to {self.folder}, which has a folder `data` of something else; name "
                "another folder."
            )
        if self.data.exists():
            shutil.rmtree(self.data)
        self.data.mkdir(parents=True)
        (self.data / _MARK).write_text(_SAID, encoding="utf-8", newline="\n")
        (self.folder / "static").mkdir(exist_ok=True)
        for name, content in static().items():
            (self.folder / "static" / name).write_bytes(content)

    def page(self, name: str, **values: object) -> Path:
        """Write the page `<name>.html`."""
        path = self.folder / f"{name}.html"
        path.write_text(render(name, site=self.values, **values), encoding="utf-8", newline="\n")
        return path
