"""Which models were made before: by their specification, whether a snapshot names them or not."""

import json

from toolbench.errors import LakeError
from toolbench.lake.lake import Lake
from toolbench.lake.model import ModelEntry


def finished_model(lake: Lake, name: str, spec: str) -> ModelEntry | None:
    """The model of a specification, if it was made and written before. Raises LakeError if its entry is damaged."""
    key = f"models/{name}/{spec}.json"
    try:
        return ModelEntry.model_validate_json(lake.store.read(key))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LakeError(f"{lake.store.url(key)} is damaged; remove it and run again.") from error


def finish_model(lake: Lake, name: str, entry: ModelEntry) -> None:
    """Say that a model is finished; written last, since its presence means that every file of the model is there."""
    lake.store.write(f"models/{name}/{entry.spec}.json", json.dumps(entry.model_dump()).encode())
