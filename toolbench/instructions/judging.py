"""The teacher as a judge of whether an instruction holds a value for everything that its APIs require."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from toolbench import prompts
from toolbench.dialogue import json_in
from toolbench.instructions.written import Reason
from toolbench.records import Api
from toolbench.world import World

_ROOM = "toolbench.instructions"
PROMPT = "values"
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "missing": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"api": {"type": "string"}, "parameter": {"type": "string"}},
                "required": ["api", "parameter"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["missing"],
    "additionalProperties": False,
}


async def missing_value(world: World, record: str, text: str, relevant: Sequence[Api], seed: int) -> Reason | None:
    """Why an instruction cannot be served, in the teacher's judgment; None if it can, or if the reply says nothing.

    Nobody is asked about APIs that require nothing. Raises TeacherError, TransientError, LakeError.
    """
    required = {api.function: [p for p in api.parameters if p.required and not p.secret] for api in relevant}
    if not any(required.values()):
        return None
    apis = [
        {
            "name": api.function,
            "description": json.loads(api.definition)["description"],
            "required": [{"name": p.shown_as, "description": p.description} for p in required[api.function]],
        }
        for api in relevant
    ]
    case = json.dumps({"request": text, "apis": apis}, ensure_ascii=False)
    messages = [{"role": "user", "content": prompts.load(_ROOM, PROMPT).render(case=case)}]
    reply = await world.chat(record, messages, seed=seed, schema=("missing", _SCHEMA), temperature=0)
    try:
        found = json_in(reply.content) if not reply.error else {}
    except ValueError:
        return None
    named = found.get("missing") if isinstance(found, dict) else None
    for item in named if isinstance(named, list) else ():
        api, name = (item.get("api"), item.get("parameter")) if isinstance(item, dict) else (None, None)
        # What it invents says nothing about the instruction.
        if isinstance(api, str) and any(p.shown_as == name for p in required.get(api, ())):
            return "missing_value", f"In the teacher's judgment the text holds no value for {name} of {api}."
    return None
