"""Digests: how inputs become the names of shards, and ids become stable draws."""

import hashlib
import json
from typing import Any

# Made once: `json.dumps` makes an encoder a call, which takes longer than a short value does.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text (RFC 8785 in spirit, for our own types)."""
    return _CANONICAL.encode(value)


def digest(value: Any, length: int = 16) -> str:
    """The first `length` hex digits of SHA-256 over the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()[:length]


def draw(salt: str, name: str) -> float:
    """A number in [0, 1) fixed by `salt` and `name` alone: the same on every machine and every night."""
    head = hashlib.sha256(f"{salt}\0{name}".encode("utf-8", "surrogatepass")).digest()[:8]
    return int.from_bytes(head) / 2**64


def seed_of(*parts: Any) -> int:
    """A 31-bit seed fixed by `parts`, within the range every endpoint accepts."""
    return (
        int.from_bytes(hashlib.sha256(canonical(list(parts)).encode("utf-8", "surrogatepass")).digest()[:4])
        & 0x7FFFFFFF
    )
