"""Names and ids, by the rules ToolBench's data was made with (Qin et al. 2023; the release's `standardize`).

A plain name is exactly ToolBench's. Where several things would share one, *every* one of them gets a hash of its own
identity, so that which of them is read first, or is read at all, decides nothing. The hash stands behind a hyphen,
which no plain name contains: a hashed name can never meet a plain one.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

FUNCTION_LENGTH = 64
"""Longest function or property name the OpenAI tools API takes."""

_REPLACED = re.compile(r"[^\u4e00-\u9fa5a-zA-Z0-9_^]")
_UNDERSCORES = re.compile(r"_{2,}")
_NOT_CALLABLE = re.compile(r"[^a-zA-Z0-9_-]+")
_KEYWORDS = frozenset(["from", "class", "return", "false", "true", "id", "and"])
_HASH_LENGTH = 8
_UNNAMED = "unnamed"


@lru_cache(maxsize=1 << 16)
def standardise(name: str) -> str:
    """ToolBench's standardised name: `20+ Ad Titles!` → `get_20_ad_titles`. Empty if no character is one it keeps."""
    kept = _UNDERSCORES.sub("_", _REPLACED.sub("_", name)).lower().strip("_")
    return f"get_{kept}" if kept[:1].isdigit() else kept


def keyword_safe(name: str) -> str:
    """A standardised API or parameter name, with `is_` before the words that Python code could not use."""
    return f"is_{name}" if name in _KEYWORDS else name


def category_folder(category: str) -> str:
    """The folder name of a category: `News, Media` → `News_Media`; `__` collapses once, as in ToolBench."""
    return category.replace(" ", "_").replace(",", "_").replace("/", "_").replace("__", "_")


def plain_tool_id(category: str, tool: str) -> str:
    """`<category folder>/<standardised tool name>`: the tool's id unless another tool shares it."""
    return f"{category_folder(category)}/{standardise(tool)}"


def plain_api_id(category: str, tool: str, api: str) -> str:
    """`<plain tool id>/<standardised API name>`: the API's id unless another API, or its tool's id, is shared."""
    return f"{plain_tool_id(category, tool)}/{standardise(api)}"


def short_hash(identity: str) -> str:
    """Eight hex digits of SHA-256: what tells namesakes apart."""
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]


def distinct_ids(parent: str, names: Sequence[str], identities: Sequence[str]) -> list[str]:
    """Ids below `parent` for names as their sources spell them; `identities` tells namesakes apart.

    A name of which standardising leaves nothing (Cyrillic, Hangul) becomes `unnamed-<hash>`.
    """
    plain = [standardise(n) for n in names]
    shared = Counter(plain)
    out = []
    for name, identity in zip(plain, identities, strict=True):
        alone = name and shared[name] == 1
        out.append(f"{parent}/{name}" if alone else f"{parent}/{name or _UNNAMED}-{short_hash(identity)}")
    return out


def function_names(pairs: Sequence[tuple[str, str]], api_ids: Sequence[str]) -> list[str]:
    """Function names `<api>_for_<tool>`, both standardised, cut to their last 64 characters; unique in the list.

    `pairs` holds (API name, tool name) as their sources spell them. Names that several APIs share, and names with
    characters the OpenAI tools API refuses, end in a hash of the API's id.
    """
    plain = [f"{keyword_safe(standardise(api))}_for_{standardise(tool)}"[-FUNCTION_LENGTH:] for api, tool in pairs]
    return _callable(plain, api_ids)


def property_names(names: Sequence[str], identities: Sequence[str]) -> list[str]:
    """Property names of one function's parameters, standardised and made safe and unique as function names are."""
    return _callable([keyword_safe(standardise(n))[-FUNCTION_LENGTH:] for n in names], identities)


def _callable(plain: Sequence[str], identities: Sequence[str]) -> list[str]:
    shared = Counter(plain)
    out = []
    for name, identity in zip(plain, identities, strict=True):
        if name and shared[name] == 1 and not _NOT_CALLABLE.search(name):
            out.append(name)
        else:
            head = _NOT_CALLABLE.sub("_", name) or _UNNAMED
            out.append(f"{head[-(FUNCTION_LENGTH - _HASH_LENGTH - 1) :]}-{short_hash(identity)}")
    return out
