"""The prompt for instructions, in four parts: the task, the APIs, examples, requirements (ToolLLM, section 2.2)."""

import json
from collections.abc import Sequence
from typing import Any

from toolbench import prompts
from toolbench.instructions import seeds
from toolbench.instructions.seeds import Seed
from toolbench.records import Api

_ROOM = "toolbench.instructions"
_LONG = 3
"""Requests in ten that tell a longer story."""


def messages(
    apis: Sequence[Api], *, multi: bool, count: int, seed: int, language: str = "English"
) -> list[dict[str, Any]]:
    """The system and the user message that ask a teacher for `count` instructions over `apis`.

    `multi`: each of them is to need several tools. `seed` decides which three examples are shown.
    """
    parts = [
        _rendered(_task(multi)),
        _rendered("documentation", documents=_json(documents(apis, count))),
        _rendered("examples", examples=[_example(drawn) for drawn in seeds.draw(multi, seed)]),
        # Rounded half up: two of five are long.
        _rendered("requirements", multi=multi, count=count, long=(_LONG * count + 5) // 10, language=language),
    ]
    return [{"role": "system", "content": _rendered("system")}, {"role": "user", "content": "\n\n".join(parts)}]


def digests(multi: bool) -> dict[str, str]:
    """Prompt file → digest of its source, and `seeds` → digest of the examples' data: what a reply goes back to."""
    names = ("system", _task(multi), "documentation", "examples", "requirements", "repair")
    return {name: prompts.load(_ROOM, name).digest for name in names} | {"seeds": seeds.data_digest(multi)}


def documents(apis: Sequence[Api], count: int) -> dict[str, Any]:
    """What the teacher reads about the APIs, and how many requests it is to write; credentials are left out."""
    documented = [
        {
            "name": api.function,
            "tool": api.tool,
            "category": api.category,
            "description": json.loads(api.definition)["description"],
            "parameters": [
                {"name": p.shown_as, "type": p.type, "required": p.required, "description": p.description}
                | ({"default": json.loads(p.default)} if p.default is not None else {})
                for p in api.parameters
                if not p.secret
            ],
        }
        for api in apis
    ]
    return {"apis": documented, "count": count}


def _task(multi: bool) -> str:
    return "task_multi" if multi else "task_single"


def _example(seed: Seed) -> dict[str, str]:
    """A seed's APIs and the answer that they are worth, in the forms of the real ones."""
    requests = [{"instruction": r.text, "relevant_apis": list(r.relevant)} for r in seed.requests]
    return {"apis": _json({"apis": list(seed.apis)}), "answer": _json({"instructions": requests})}


def _rendered(name: str, **values: Any) -> str:
    return prompts.load(_ROOM, name).render(**values)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
