"""How sources that are MCP servers are written, shown and told apart, without the keys that stand in them."""

import re
import shlex
from pathlib import PurePath

from toolbench.catalogue.mcp import SCHEME
from toolbench.catalogue.names import short_hash
from toolbench.catalogue.parameters import is_credential
from toolbench.catalogue.web import without_credentials
from toolbench.digests import canonical

STDIO = "stdio:"
"""In front of a command that starts an MCP server, which listens on its standard input."""
_SHORTEST_KEY = 4
_PROGRAM = re.compile(r"[\w ./\\:@-]+\.(?:py|js|mjs|cjs|ts|jar|sh)|@[\w./-]+")
"""Arguments that name the program to run: files of scripts and scoped packages."""


def shown(source: str) -> str:
    """The source as it may be logged and stored: an address without credentials, a command and the script it runs.

    All other arguments are left out because keys are handed over in them.
    """
    if not source.startswith(STDIO):
        return SCHEME + without_credentials(source.removeprefix(SCHEME))
    words = _words(source)
    programs = [w if w.startswith("@") else PurePath(w).name for w in words[1:] if _PROGRAM.fullmatch(w)]
    return STDIO + " ".join([PurePath(words[0]).name, *programs] if words else [])


def label(source: str) -> str:
    """What tells a source from all others: `shown`, and of a command a hash of what it leaves out but for the keys."""
    if not source.startswith(STDIO):
        return shown(source)
    words = _words(source)
    named = [False, *(w.startswith("-") and is_credential(w.lstrip("-")) for w in words)]
    kept = [w.partition("=")[0] for w, is_key in zip(words, named, strict=False) if not is_key]
    return f"{shown(source)}-{short_hash(canonical(kept))}"


def _words(source: str) -> list[str]:
    try:
        return shlex.split(source.removeprefix(STDIO))
    except ValueError:
        return []


def without_arguments(said: str, arguments: list[str]) -> str:
    """What a server said, without the arguments that may be keys: many repeat what they do not understand."""
    for argument in arguments:
        value = argument.partition("=")[2] if argument.startswith("-") else argument
        if len(value) >= _SHORTEST_KEY and not _PROGRAM.fullmatch(value):
            said = said.replace(value, "…")
    return said
