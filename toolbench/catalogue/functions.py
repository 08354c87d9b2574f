"""The function definition of an API for the OpenAI tools API, in the form ToolBench's functions have."""

from collections.abc import Iterable
from typing import Any

from toolbench.catalogue.drafts import ParameterDraft
from toolbench.catalogue.text import clip, plain

DESCRIPTION_LIMIT = 256
TOOL_DESCRIPTION_LIMIT = 512
_TOOL_NAME_LIMIT = 80


def definition(
    function: str, tool: str, api: str, description: str, parameters: Iterable[tuple[str, ParameterDraft]]
) -> dict[str, Any]:
    """`{"name", "description", "parameters": JSON Schema of an object}`.

    `tool` and `api` are the names as their source spells them, `parameters` pairs (property name, parameter).
    Credentials are left out: the model must neither see nor invent them.
    """
    shown = [(name, p) for name, p in parameters if not p.secret]
    about = clip(plain(description), DESCRIPTION_LIMIT) or clip(plain(api), DESCRIPTION_LIMIT)
    return {
        "name": function,
        "description": f"{clip(plain(tool), _TOOL_NAME_LIMIT)}: {about}",
        "parameters": {
            "type": "object",
            "properties": {name: _property(p) for name, p in shown},
            "required": [name for name, p in shown if p.required],
        },
    }


def tool_description(text: str) -> str:
    """A tool's description as prompts show it: one line, at most 512 characters."""
    return clip(plain(text), TOOL_DESCRIPTION_LIMIT)


def _property(parameter: ParameterDraft) -> dict[str, Any]:
    schema = {k: v for k, v in parameter.schema.items() if k != "description"}
    about = clip(plain(parameter.description), DESCRIPTION_LIMIT)
    if about:
        schema["description"] = about
    if parameter.example is not None:
        # An example and not a default: the API need not use it when the argument is missing.
        schema["examples"] = [parameter.example]
    return schema
