"""Files with one JSON object a line, as others write them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolbench.errors import SourceError


def rows(path: Path, wanted: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where it stands, and the object, of every line that is not empty.

    Raises SourceError naming file and line; `wanted` says what to name instead of a file that cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}): name {wanted}.") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise SourceError(f"{where}: this is not JSON ({error}).") from None
            if not isinstance(row, dict):
                raise SourceError(f"{where}: this is not a JSON object.")
            yield where, row
