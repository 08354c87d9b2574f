"""The calls in a text: code, prose around code, or code with broken quotes, read with Python's own `ast`.

What parses as a program is walked as one. Anything else is searched for `name(…)` with its closing bracket; each of
these is parsed by itself, and where that fails, too, argument by argument. No text raises anything.
"""

import ast
import re
import shlex
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass

LONGEST = 8_000
"""Characters of an answer that are looked at: what a model goes on to say after that is no answer to be found."""
MOST = 100
"""Calls of a text that are looked at."""

_MODULES = {
    "transformers": "", "diffusers": "", "sentence_transformers": "", "huggingface_hub": "", "flair.models": "",
    "tensorflow_hub": "hub", "tensorflow": "tf",
}  # fmt: skip
"""The name that the API documents use for what a module holds, by the module's full name."""
_SIGNATURES = {"torch.hub.load": ("repo_or_dir", "model")}
"""Names of positional arguments that have to be told apart although documents name them."""

_START = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\(")
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_FENCE = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)
_KEYWORD = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call."""

    key: str | int
    """Its keyword, or its position from 0."""
    text: str
    """The value without quotes and, but for a string, without spaces: `'a/b'` and `a/b` are the same."""
    calls: tuple["Call", ...] = ()
    """The outermost calls inside the value."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call: the function's dotted name and the arguments as written; or a command of a shell with its options."""

    name: str
    arguments: tuple[Argument, ...]

    def tree(self) -> Iterator["Call"]:
        """The call and all calls in its arguments, the outer before the inner."""
        yield self
        for argument in self.arguments:
            for call in argument.calls:
                yield from call.tree()


def answer_in(text: str) -> str:
    """The part of a reply that holds the call.

    That is what stands between `api_call` and `api_provider` in the form that Gorilla's models reply in, else what is
    fenced as code, else everything.
    """
    if "api_call" in text:
        text = text.split("api_call", 1)[1].split("api_provider", 1)[0]
        text = text.replace("\\'", "'").replace('\\"', '"')  # it may stand in a string of its own
    elif fenced := _FENCE.findall(text):
        text = "\n".join(fenced)
    return text[:LONGEST]


def calls_in(text: str) -> list[Call]:
    """The outermost calls in `text` that have a name, in the order they begin; inner ones are in their arguments."""
    text = text[:LONGEST]
    try:
        if calls := list(_outermost(_parsed(text)))[:MOST]:
            return calls
    except _UNREADABLE:
        pass
    return list(_scanned(_COMMENT.sub("", text)))


def commands_in(text: str, programs: Collection[str]) -> list[Call]:
    """The lines of `text` that start one of `programs`, options as keywords, other words by position."""
    lines = (line.strip().lstrip("$!`>:'\" ").rstrip("`") for line in text[:LONGEST].splitlines())
    return [command(line) for line in lines if line.partition(" ")[0] in programs]


def command(line: str) -> Call:
    """A line of a shell as a call: `run --size 3 --name=x` has the keywords `size` and `name`."""
    try:
        name, *words = shlex.split(line)
    except ValueError:  # a quote that is not closed, or nothing at all
        name, *words = line.split() or [""]
    arguments: list[Argument] = []
    position = 0
    while words:
        word = words.pop(0)
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            if not equals and words and not words[0].startswith("--"):
                value = words.pop(0)
            arguments.append(Argument(key, value))
        else:
            arguments.append(Argument(position, word))
            position += 1
    return Call(name, tuple(arguments))


def _parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in somebody's answer are no concern of the user's
        return ast.parse(text)


def _scanned(text: str) -> Iterator[Call]:
    """Calls in what is no program."""
    read_to = 0
    for count, start in enumerate(_START.finditer(text)):
        if count == MOST:
            return
        if start.start() < read_to or (end := _closing(text, start.end())) is None:
            continue
        try:
            node = _parsed(text[start.start() : end + 1]).body[0]
            found = list(_outermost(node))
            read_to = end
        except _UNREADABLE:
            # What is inside is looked at again by itself: its brackets and quotes may be better than those around it.
            found = [_piecewise(start.group()[:-1], text[start.end() : end])]
        yield from found


def _closing(text: str, start: int) -> int | None:
    """Where the bracket closes that was opened before `start`; brackets in strings do not count."""
    depth, quote = 1, ""
    for place in range(start, len(text)):
        character = text[place]
        if quote:
            if character == quote or character == "\n":  # a string that a line's end leaves open was no string
                quote = ""
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth == 0:
                return place
    return None


def _piecewise(name: str, inside: str) -> Call:
    """A call that is no Python as a whole, such as one with a positional argument after a keyword."""
    arguments: list[tuple[str | None, str, tuple[Call, ...]]] = []
    for piece in _pieces(inside):
        keyword = _KEYWORD.fullmatch(piece)
        value = (keyword[2] if keyword else piece).strip()
        try:
            node = _parsed(value).body
            text, calls = _value(node[0].value) if node and isinstance(node[0], ast.Expr) else (value, ())
        except _UNREADABLE:
            text, calls = "".join(value.strip("'\"").split()), ()
        arguments.append((keyword[1] if keyword else None, text, calls))
    return _made(name, arguments)


def _pieces(inside: str) -> Iterator[str]:
    """The arguments: `inside` cut at commas that stand in no bracket and no string."""
    depth, quote, start = 0, "", 0
    for place, character in enumerate(inside):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            yield inside[start:place]
            start = place + 1
    if inside[start:].strip():
        yield inside[start:]


def _call(node: ast.Call) -> Call | None:
    """None for a call of something that has no name, such as the result of another call."""
    name = _dotted(node.func)
    if name is None:
        return None
    arguments = [(None, *_value(value)) for value in node.args]
    named = [(keyword.arg or "**", *_value(keyword.value)) for keyword in node.keywords]
    return _made(name, [*arguments, *named])


def _made(name: str, arguments: list[tuple[str | None, str, tuple[Call, ...]]]) -> Call:
    for module, short in _MODULES.items():
        if name.startswith(f"{module}."):
            name = ".".join(part for part in (short, name[len(module) + 1 :]) if part)
            break
    taken = {key for key, _, _ in arguments}
    names = _SIGNATURES.get(name, ())
    made: list[Argument] = []
    position = 0
    for key, text, calls in arguments:
        place: str | int = position
        if key is None:
            if position < len(names) and names[position] not in taken:
                place = names[position]
            position += 1
        made.append(Argument(place if key is None else key, text, calls))
    return Call(name, tuple(made))


def _dotted(node: ast.expr) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


def _value(node: ast.expr) -> tuple[str, tuple[Call, ...]]:
    """A value's text and the outermost calls in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.strip(), ()
    return "".join(ast.unparse(node).split()), tuple(_outermost(node))


def _outermost(node: ast.AST) -> Iterator[Call]:
    if isinstance(node, ast.Call) and (call := _call(node)):
        yield call
        return
    for child in ast.iter_child_nodes(node):
        yield from _outermost(child)
