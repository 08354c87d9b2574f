"""Simulated responses by the teacher: from the API's documentation and recorded answers, checked by its schema.

Every such response is marked `simulated`, and says what the teacher used for it.
"""

import dataclasses
import json
from typing import Any

from toolbench import prompts
from toolbench.apis.checking import problem
from toolbench.apis.recorded import Recorded
from toolbench.apis.simulated import Simulated
from toolbench.apis.values import read_json
from toolbench.digests import canonical, digest, seed_of
from toolbench.records import Api, Reply, Response
from toolbench.settings import Settings
from toolbench.teacher import Teacher

_PROMPTS = ("imagine", "imagine_call", "imagine_repair")
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 2000
_DOCUMENT_CHARACTERS = 8000
_TRIES = 2


class Imagined:
    """Answers every call: by the teacher, or by rules where the teacher's answer cannot be used twice in a row."""

    def __init__(self, settings: Settings, recorded: Recorded | None) -> None:
        self._seed = settings.seed
        self._recorded = recorded
        self._teacher = Teacher(settings.teacher)
        self._rules = Simulated(settings.seed)

    async def close(self) -> None:
        """Close the connections to the teacher."""
        await self._teacher.__aexit__(None, None, None)

    async def call(self, api: Api, arguments: dict[str, Any]) -> Response | None:
        """A response in the teacher's words. Raises TeacherError and TransientError as the teacher does."""
        schema = _json(api.response_schema)
        messages = [
            {"role": "system", "content": _prompt("imagine").render()},
            {"role": "user", "content": _prompt("imagine_call").render(document=self._document(api, arguments))},
        ]
        seed = seed_of(self._seed, api.id, canonical(arguments))
        replies: list[Reply] = []
        response = None
        while response is None and len(replies) < _TRIES:
            replies.append(await self._ask(messages, schema, seed))
            if replies[-1].error:
                break
            text = replies[-1].content or ""
            value, wrong = _read(text, schema)
            if wrong:
                repair = _prompt("imagine_repair").render(problem=wrong)
                messages += [{"role": "assistant", "content": text}, {"role": "user", "content": repair}]
            else:
                response = Response(response=value, source="simulated")
        return dataclasses.replace(
            response or await self._rules.answer(api, arguments),
            input_tokens=sum(reply.input_tokens for reply in replies),
            output_tokens=sum(reply.output_tokens for reply in replies),
            cost=round(sum(reply.cost for reply in replies), 9),
        )

    async def _ask(self, messages: list[dict[str, str]], schema: Any, seed: int) -> Reply:
        shape = {
            "type": "object",
            "properties": {"response": schema if isinstance(schema, dict) else {}},
            "required": ["response"],
        }
        body = self._teacher.request(messages, seed=seed, schema=("response", shape), temperature=0)
        # Strict mode takes no schema with optional properties, and documented ones have many.
        body["response_format"]["json_schema"]["strict"] = False
        return await self._teacher.send(body)

    def _document(self, api: Api, arguments: dict[str, Any]) -> str:
        """What the teacher is told about the API and the call, as JSON text."""
        known = self._recorded.examples(api) if self._recorded is not None else []
        good = [(given, answer) for given, answer in known if answer.status == 0 and answer.response not in ("", None)]
        document = {
            "documentation": {
                "category": api.category,
                "tool": api.tool,
                "api": api.name,
                "method": api.method,
                "function": _json(api.definition),
            },
            "response_schema": _clipped(_json(api.response_schema), _DOCUMENT_CHARACTERS),
            "response_example": _clipped(_json(api.response_example), _DOCUMENT_CHARACTERS),
            "answers_to_other_calls": [
                {"arguments": given, "response": _clipped(answer.response, _EXAMPLE_CHARACTERS)}
                for given, answer in good[:_EXAMPLES]
            ],
            "call": {"arguments": arguments},
        }
        kept = {key: value for key, value in document.items() if value not in (None, [])}
        return json.dumps(kept, ensure_ascii=False, indent=1)


def identity(settings: Settings, recorded: Recorded | None) -> dict[str, Any]:
    """What decides the teacher's answers besides the call: part of a shard's specification."""
    return {
        "model": settings.teacher.model,
        "max_output_tokens": settings.teacher.max_output_tokens,
        "prompts": digest([_prompt(name).digest for name in _PROMPTS]),
        "examples": recorded.digest if recorded is not None else "",
    }


def _prompt(name: str) -> prompts.Prompt:
    return prompts.load("toolbench.apis", name)


def _read(text: str, schema: Any) -> tuple[Any, str]:
    """The response in a reply, and what is wrong with it. A code fence around it does no harm."""
    try:
        reply = read_json(text.strip().removeprefix("```json").removeprefix("```").removesuffix("```"))
    except ValueError as error:
        return None, f"it is not JSON ({' '.join(str(error).split())[:200]})"
    if not isinstance(reply, dict) or "response" not in reply:
        return None, 'it has not the form {"response": ...}'
    return reply["response"], problem(reply["response"], schema)


def _json(text: str | None) -> Any:
    try:
        return read_json(text) if text else None
    except ValueError:
        return None


def _clipped(value: Any, limit: int) -> Any:
    """The value; where its JSON text is longer than `limit` characters, the text's beginning."""
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= limit else text[:limit] + "…"
