"""Every function definition is checked: the OpenAI tools API refuses a whole request for one that is wrong.

A name matches `^[a-zA-Z0-9_-]{1,64}$`; `parameters` is valid as JSON Schema draft 2020-12, by the package `jsonschema`.

A crawl has tens of thousands of definitions and only a few shapes of them, so each *skeleton* is checked once: the
schema of a property with its description and its examples blanked. That says exactly what checking every schema would:

- The metaschema judges each schema where it stands: no rule of it compares one property's schema with another's, and
  `properties` takes any names. So an object is valid if its own keywords are and every property's schema is.
- It asks of `description` that it is text and of `examples` that it is a list, whatever they hold. That is asked here
  before they are blanked.
"""

import json
import re
from typing import Any

from toolbench.catalogue.drafts import Broken, pointer
from toolbench.catalogue.text import clip

REASON = "invalid_definition"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MESSAGE_LIMIT = 200


class Checker:
    """Checks definitions, and remembers the skeletons that it has seen."""

    def __init__(self) -> None:
        self._faults: dict[str, Broken | None] = {}

    def fault(self, definition: dict[str, Any]) -> Broken | None:
        """What is wrong with a function definition; None if nothing is."""
        name, parameters = definition.get("name"), definition.get("parameters")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return Broken(REASON, "", f"gives a function whose name is not 1 to 64 letters, digits, _ and -: {name!r}")
        if not isinstance(parameters, dict) or parameters.get("type") != "object":
            return Broken(REASON, "", "gives a function whose parameters are no JSON Schema of an object")
        properties = parameters.get("properties")
        if not isinstance(properties, dict):
            return self._checked(parameters, "")
        for shown, schema in properties.items():
            if found := self._checked(_blanked(schema), pointer("properties", shown)):
                return found
        required = parameters.get("required", [])
        named = isinstance(required, list) and all(isinstance(n, str) and n in properties for n in required)
        if not named or len(set(required)) < len(required):
            return Broken(REASON, "", "gives a function that requires what it does not describe, or one thing twice")
        # With those two judged, what is left is alike in all definitions.
        return self._checked({k: v for k, v in parameters.items() if k not in ("properties", "required")}, "")

    def _checked(self, schema: Any, place: str) -> Broken | None:
        key = json.dumps(schema)
        if key not in self._faults:
            self._faults[key] = _fault_of(schema)
        found = self._faults[key]
        if found is None:
            return None
        where = f"parameters{place}{found.pointer}"
        return Broken(REASON, "", f"gives a function whose {where} are no JSON Schema: {found.why}")


def _blanked(schema: Any) -> Any:
    """The skeleton of a property's schema."""
    if not isinstance(schema, dict):
        return schema
    skeleton = dict(schema)
    if isinstance(skeleton.get("description"), str):
        del skeleton["description"]
    if isinstance(skeleton.get("examples"), list):
        del skeleton["examples"]
    return skeleton


def _fault_of(schema: Any) -> Broken | None:
    """What jsonschema says first, with the pointer to where in the schema."""
    from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped, unused-ignore]

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return Broken(REASON, pointer(*error.absolute_path), clip(" ".join(error.message.split()), _MESSAGE_LIMIT))
    except RecursionError:
        return Broken(REASON, "", "it is nested too deeply")
    return None
