"""An adapter and its base as one model, for servers that know no adapters."""

from pathlib import Path

from toolbench.errors import ToolbenchError, UsageError
from toolbench.student.base import quiet
from toolbench.student.folder import is_adapter, load_student


def merge(folder: Path, out: Path, base: str | None = None) -> None:
    """Write the model in `out`: the base's weights with the adapter's changes in them, tokenizer and chat template.

    `base`: where the adapter's base is now, if it was moved. Raises UsageError if `folder` has no adapter or `out` has
    a file, and ToolbenchError if it cannot be loaded or written.
    """
    if not is_adapter(str(folder)):
        raise UsageError(f"There is no adapter in {folder}: name the folder that `toolbench student train` wrote.")
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UsageError(f"{out} has files already: name a new folder for the merged model.")
    model, tokenizer = load_student(str(folder), base)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with quiet():
            model.save_pretrained(str(out))
            tokenizer.save_pretrained(str(out))
        for name in ("README.md", "metrics.json"):
            if (folder / name).is_file():
                (out / name).write_bytes((folder / name).read_bytes())
    except OSError as error:
        raise ToolbenchError(f"The merged model cannot be written to {out} ({error}): name another folder.") from error
