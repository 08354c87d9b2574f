"""A process that asks by the Batch API and may die on the way: `python batch_worker.py URL LAKE COUNT [WHERE]`.

`WHERE` names what it does not live through: the method of `BatchEndpoint` or `Gatherer`, with `before` or `after`.
"""

import asyncio
import os
import sys
from typing import Any

from toolbench.lake import Lake
from toolbench.settings import TeacherSettings
from toolbench.teacher.batches import BatchTeacher
from toolbench.teacher.batches.endpoint import BatchEndpoint
from toolbench.teacher.batches.gatherer import Gatherer

DIED = 9


def settings(url: str, **more: Any) -> TeacherSettings:
    """Quick ones."""
    quick = {"batch": True, "batch_linger": 0.1, "batch_poll": 0.05, "max_retries": 0}
    return TeacherSettings(**{"base_url": f"{url}/v1", **quick, **more})


def question(number: int) -> dict[str, Any]:
    """A request."""
    return {"model": "m", "seed": number, "messages": [{"role": "user", "content": f"Question {number}?"}]}


def dying(name: str, when: str) -> None:
    """The process dies before or after the method is carried out, without a chance to tidy up."""
    owner: Any = BatchEndpoint if hasattr(BatchEndpoint, name) else Gatherer
    method = getattr(owner, name)

    async def replaced(*args: Any) -> Any:
        if when == "after":
            await method(*args)
        os._exit(DIED)

    setattr(owner, name, replaced)


async def main(url: str, lake: str, count: int) -> None:
    """Ask, note down nothing."""
    teacher = BatchTeacher(settings(url), Lake(lake).store)
    await teacher.enter()
    await asyncio.gather(*(teacher.send(f"r{n}", question(n)) for n in range(count)))


if __name__ == "__main__":
    if len(sys.argv) > 4:
        dying(*sys.argv[4].split("-"))
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
