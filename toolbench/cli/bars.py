"""Progress bars on a terminal's standard error; nothing where there is none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Gives what is called with a phase, the units done and the units in all."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as shown:
        tasks: dict[str, Any] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = shown.add_task(phase, total=total)
            shown.update(tasks[phase], completed=done, total=total)

        yield show
