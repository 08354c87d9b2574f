"""What ToolBench's training data and answers have in common, put into the words of our own search."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from toolbench import dialogue
from toolbench.records import Conversation, FunctionCall, Group, Message
from toolbench.student.chat import UnusableConversation

_TOOLS = re.compile(r"following tools:\s*(.*?)(?=\n+Specifically, you have access|\Z)", re.DOTALL)
_TOOL = re.compile(r"^\d+\.([^:\n]+):[ \t]*(.*?)(?=^\d+\.[^:\n]+:|\Z)", re.DOTALL | re.MULTILINE)
_TOOL_CHARACTERS = 512
_FOLDER = re.compile(r"(?:^|/|_)G([123])_")


@dataclass(slots=True)
class Told:
    """A path as a file tells it, its turns in order."""

    name: str
    """The file's name, and the item in it."""
    system: str = ""
    instruction: str = ""
    functions: list[dict[str, Any]] = field(default_factory=list)
    turns: list[Message] = field(default_factory=list)

    def thought(self, content: str | None, call: tuple[str, str] | None) -> None:
        """The assistant's turn: a thought, a call as name and arguments, or both."""
        calls = []
        if call:
            calls = [FunctionCall(id=f"call{len(self.turns):05d}", name=mended(call[0]), arguments=mended(call[1]))]
        if not calls and not content:
            raise malformed(self.name, "an assistant's turn is empty")
        known = {dialogue.FINISH, *(str(f.get("name")) for f in self.functions)}
        # A call of a function that was never offered is shown for what followed it, and never taught.
        learned = not call or call[0] in known
        self.turns.append(
            Message(role="assistant", content=mended(content or "") or None, tool_calls=calls, train=learned)
        )

    def observed(self, content: str) -> None:
        """What the last call returned."""
        last = self.turns[-1] if self.turns else None
        if not last or not last.tool_calls:
            raise malformed(self.name, "a function's result follows no call")
        self.turns.append(Message(role="tool", tool_call_id=last.tool_calls[0].id, content=mended(content)))

    def conversation(self) -> Conversation:
        """The path as a training conversation. Raises UnusableConversation if parts of it are missing."""
        instruction = self.instruction.strip().removesuffix("Begin!").strip()
        while self.turns and self.turns[-1].role == "tool":
            self.turns.pop()  # nobody reads it
        if not instruction or not self.turns:
            raise malformed(self.name, "it has no instruction or no turn of the assistant")
        if not self.functions:
            raise UnusableConversation("no_functions", f"{self.name} does not say which functions were offered.")
        opening = dialogue.opening(mended(instruction), tools_in(mended(self.system)))
        definitions = [definition(f) for f in self.functions if f.get("name") != dialogue.FINISH]
        functions = mended(json.dumps(dialogue.offered(definitions), ensure_ascii=False))
        return Conversation(
            id=self.name, instruction_id=self.name, solution_id=self.name, group=_group(self.name, definitions),
            category="", collection="", split="train", tools=functions, model="imported",
            messages=[*(Message(role=m["role"], content=m["content"]) for m in opening), *self.turns],
        )  # fmt: skip


def mended(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which JSON may hold and no tokenizer takes."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def malformed(name: str, why: str) -> UnusableConversation:
    """The reason for an item that is not laid out as ToolBench's are."""
    return UnusableConversation("malformed", f"{name} is none of ToolBench's conversations: {why}.")


def tools_in(system: str) -> list[tuple[str, str]]:
    """Name and description of each tool that ToolBench's system prompt lists."""
    listed = _TOOLS.search(system)
    found = _TOOL.findall(listed[1]) if listed else []
    return [(name.strip(), " ".join(text.split())[:_TOOL_CHARACTERS]) for name, text in found]


def definition(function: dict[str, Any]) -> dict[str, Any]:
    """A function's definition without what only ToolBench's have: `optional`, and one `example_value` a parameter."""
    shape = function.get("parameters")
    if not isinstance(shape, dict):
        return function
    changed = {key: value for key, value in shape.items() if key != "optional"}
    if isinstance(properties := shape.get("properties"), dict):
        changed["properties"] = {name: _with_examples(value) for name, value in properties.items()}
    return {**function, "parameters": changed}


def _with_examples(value: Any) -> Any:
    if not isinstance(value, dict) or "example_value" not in value:
        return value
    example = value["example_value"]
    kept = {key: item for key, item in value.items() if key != "example_value"}
    return kept if example in ("", None) else {**kept, "examples": [example]}


def _group(name: str, definitions: Sequence[dict[str, Any]]) -> Group:
    """As the file's folder or name says (G1, G2, G3), else by whether its functions belong to one tool."""
    if found := _FOLDER.search(name):
        return f"I{found[1]}"  # type: ignore[return-value]
    return "I1" if len({str(d.get("name")).rpartition("_for_")[2] for d in definitions}) < 2 else "I2"
