"""Positions stretched beyond those a base was made for, and the file that tells later loaders of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolbench.errors import ToolbenchError
from toolbench.student.base import load_config
from toolbench.student.config import StudentConfig

FILE = "rope.json"


def stretched(config: StudentConfig) -> dict[str, Any]:
    """Entries of the base's configuration that give it `max_tokens` positions; none where it has them, or is left as
    it is. The factor is the wanted by the original number of positions.

    Raises ToolbenchError if the base's positions are not rotary, or are stretched already.
    """
    if config.rope == "none":
        return {}
    found = load_config(config.base)
    positions = getattr(found, "max_position_embeddings", None) or 0
    if config.max_tokens <= positions:
        return {}
    before = getattr(found, "rope_parameters", None)
    if not positions or not isinstance(before, dict) or "rope_theta" not in before:
        raise ToolbenchError(f"The base `{config.base}` has no rotary positions to stretch: leave `rope` out.")
    if before.get("rope_type", "default") != "default":
        raise ToolbenchError(
            f"The base `{config.base}` has stretched positions already ({before['rope_type']}): leave `rope` out, or "
            "change its config.json."
        )
    parameters = {**before, "rope_type": config.rope, "factor": config.max_tokens / positions}
    if config.rope == "yarn":
        parameters["original_max_position_embeddings"] = positions
    return {"rope_parameters": parameters, "max_position_embeddings": config.max_tokens}


def remember(folder: Path, rope: Mapping[str, Any]) -> None:
    """Write what was stretched next to the adapter, which cannot hold it itself."""
    if rope:
        (folder / FILE).write_text(json.dumps(dict(rope), indent=2) + "\n", encoding="utf-8")


def recall(folder: Path) -> dict[str, Any]:
    """What `remember` wrote; nothing where positions were left as they are. Raises ToolbenchError."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {
            "rope_parameters": dict(found["rope_parameters"]),
            "max_position_embeddings": int(found["max_position_embeddings"]),
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolbenchError(f"{folder / FILE} is damaged: train again.") from error
