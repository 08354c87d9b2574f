"""What every reader has to decide about a parameter: is it a credential, and does its default fit its type?"""

import json
import math
import re
from typing import Any

EXAMPLE_LIMIT = 2000
"""Characters of JSON; a longer default says more about the crawl than about the parameter."""

# Compared without case and punctuation. `key`, `user` and `password` alone are ordinary data far too often.
_CREDENTIAL = re.compile(
    r"(?:x|my|your|user|app|client|customer|rapid|rapidapi)*"
    r"(?:apikey|apitoken|apisecret|apipassword|accesskey|accesstoken|accesssecret|authkey|authtoken|authorization"
    r"|bearer|bearertoken|clientsecret|consumersecret|privatekey|refreshtoken|secret|secretkey|sessiontoken|token"
    r"|tokensecret|rapidapikey|rapidapihost|rapidapiproxysecret)"
)
_SQUASHED = re.compile(r"[^a-z0-9]")
_KINDS: dict[str, type | tuple[type, ...]] = {"object": dict, "array": list}


def is_credential(name: str) -> bool:
    """True for names such as `apikey`, `X-RapidAPI-Key`, `access_token`, `Authorization`, `client_secret`."""
    return _CREDENTIAL.fullmatch(_SQUASHED.sub("", name.lower())) is not None


def typed(value: Any, kind: str) -> Any:
    """`value` as the JSON Schema type `kind`; None where nothing, or nothing that fits, is documented.

    Crawled defaults are nearly always strings: `"10"` of a number is 10, `"a,b"` of an array is `["a", "b"]`.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if kind == "string":
        found: Any = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    elif kind in ("integer", "number"):
        found = _number(value, kind)
    elif kind == "boolean":
        found = value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).strip().lower())
    else:
        found = _structure(value, kind)
    return found if found is None or len(json.dumps(found)) <= EXAMPLE_LIMIT else None


def _number(value: Any, kind: str) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number) or (isinstance(value, str) and not value.strip().isascii()):
        return None
    if number == int(number) and abs(number) < 2**53:
        return int(number)
    return number if kind == "number" else None


def _structure(value: Any, kind: str) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if kind == "array" and not text.startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()] or None
        try:
            value = json.loads(text, parse_constant=str)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, _KINDS[kind]) and _finite(value) else None


def _finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return True
