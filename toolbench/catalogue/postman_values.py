"""Values in Postman collections: variables filled in, secrets kept out, types told from examples."""

import json
import re
from collections.abc import Iterator
from typing import Any

from toolbench.catalogue.drafts import json_text
from toolbench.catalogue.parameters import is_credential
from toolbench.catalogue.text import plain

VARIABLE = re.compile(r"\{\{([^{}]{1,200})\}\}")
_ROUNDS = 8
_TEXT_LIMIT = 1 << 20
_VALUE_LIMIT = 4000
_DEPTH = 4
_WIDTH = 100
_WALK_DEPTH = 120
_SECRETS = 2000
_SHORTEST_SECRET = 4
# What Postman's own converter writes instead of examples; all others in angle brackets are texts.
_STAND_INS = {
    "<integer>": "integer", "<long>": "integer", "<number>": "number", "<float>": "number", "<double>": "number",
    "<boolean>": "boolean",
}  # fmt: skip
_STAND_IN = re.compile(
    r"<(?:any|array|base64|binary|boolean|byte|date|dateTime|double|email|float|integer|long|number|object|password|string|"
    r"time|uri|url|uuid)>"
)
_REQUIRED = re.compile(r"\(required\)\s*", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/@:\s]{0,200}:([^/@\s]{1,200})@")
_QUERY = re.compile(r"[?&]([^=&#\s]{1,100})=([^&#\s]{1,2000})")
_JUNK = re.compile(r"[\x00-\x1f\x7f]")


class Variables:
    """The variables of a collection and of the folders around a request; inner ones win.

    Credentials among them are never filled in.
    """

    def __init__(self, listed: Any = None, outer: "Variables | None" = None) -> None:
        self._values: dict[str, str] = dict(outer._values) if outer else {}
        self._secret: set[str] = set(outer._secret) if outer else set()
        for entry in listed if isinstance(listed, list) else ():
            name, value = named(entry), entry.get("value") if isinstance(entry, dict) else None
            if not name or entry.get("disabled") is True or not isinstance(value, str | int | float):
                continue
            text = str(value).lower() if isinstance(value, bool) else str(value)
            self._values.pop(name, None)
            if entry.get("type") == "secret" or is_credential(name):
                self._secret.add(name)
            elif len(text) <= _VALUE_LIMIT:
                self._values[name] = text

    def secret(self, value: Any) -> bool:
        """True for a text that a credential is to be filled into."""
        names = VARIABLE.findall(value) if isinstance(value, str) else ()
        return any(n.strip() in self._secret or is_credential(n) for n in names)

    def fill(self, text: str) -> str:
        """`text` with its variables filled in; unknown ones stay as they are, and so do those that lead in a circle."""
        for _ in range(_ROUNDS):
            if "{{" not in text:
                break
            filled = self._once(text)
            if filled == text:
                break
            text = filled
        return text

    def _once(self, text: str) -> str:
        room = [_TEXT_LIMIT - len(text)]

        def value(match: re.Match[str]) -> str:
            found = self._values.get(match[1].strip(), match[0])
            room[0] -= len(found)
            return found if room[0] > 0 else match[0]

        return VARIABLE.sub(value, text)


class Secrets:
    """The credentials that a collection holds, so that no example repeats them."""

    def __init__(self, document: Any) -> None:
        self._values: set[str] = set()
        for value in _secrets(document, _WALK_DEPTH):
            self._values.add(value)
            if len(self._values) > _SECRETS:
                break

    def clean(self, value: Any, limit: int) -> Any:
        """`value` with every credential in it emptied.

        None if one stands, or may stand, elsewhere in it, or if it has more than `limit` characters as JSON.
        """
        cleaned = _emptied(value, _WALK_DEPTH)
        text = None if len(self._values) > _SECRETS else json_text(cleaned, limit)
        return None if text is None or any(_escaped(secret) in text for secret in self._values) else cleaned

    def within(self, text: str, shortest: int) -> bool:
        """True if a credential of at least `shortest` characters stands in the text."""
        return any(secret in text for secret in self._values if len(secret) >= shortest)


def named(entry: Any) -> str:
    """The key of a Postman key-value entry; empty if it has none."""
    key = (entry.get("key") or entry.get("id")) if isinstance(entry, dict) else None
    return key.strip() if isinstance(key, str) else ""


def described(holder: Any) -> str:
    """A description, which is a text or `{"content": text}`."""
    text = holder.get("description") if isinstance(holder, dict) else None
    text = text.get("content") if isinstance(text, dict) else text
    return plain(text) if isinstance(text, str) else ""


def demanded(description: str) -> tuple[bool, str]:
    """Whether a description says `(Required)`, as Postman's converter writes it, and the description without that."""
    match = _REQUIRED.match(description)
    return (True, description[match.end() :]) if match else (False, description)


def text_shape(value: Any, variables: Variables) -> tuple[dict[str, Any], Any]:
    """Schema and example of a value that is sent as text, such as a query parameter's; None for no example."""
    if not isinstance(value, str):
        value = "" if value is None or isinstance(value, dict | list) else str(value)
    value = variables.fill(value).strip()
    if _STAND_IN.search(value):
        return {"type": _STAND_INS.get(value, "string")}, None
    unusable = not value or "{{" in value or _JUNK.search(value)
    return {"type": "string"}, None if unusable else value


def shape(value: Any, depth: int = _DEPTH) -> dict[str, Any]:
    """The JSON Schema of an example value; what lies deeper or is null is left open."""
    kind = _kind(value)
    out: dict[str, Any] = {"type": kind} if kind else {}
    if kind == "array":
        out["items"] = shape(value[0], depth - 1) if value and depth > 0 else {}
    elif kind == "object" and depth > 0:
        inside = {name: shape(part, depth - 1) for name, part in list(value.items())[:_WIDTH]}
        out |= {"properties": inside} if inside else {}
    return out


def unfilled(value: Any, depth: int = _WALK_DEPTH) -> bool:
    """True if a stand-in or a variable without a value is somewhere in an example."""
    return any("{{" in text or _STAND_IN.search(text) for text in _texts(value, depth))


def _escaped(secret: str) -> str:
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return _STAND_INS.get(value.strip(), "string")
    kinds = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "")


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth > 0 and isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part, depth - 1)


def _emptied(value: Any, depth: int) -> Any:
    if depth <= 0:
        return None
    if isinstance(value, list):
        return [_emptied(part, depth - 1) for part in value]
    if not isinstance(value, dict):
        return value
    return {k: "" if is_credential(k) and v is not None else _emptied(v, depth - 1) for k, v in value.items()}


def _secrets(node: Any, depth: int) -> Iterator[str]:
    """Every text that stands for a credential: in `auth`, under a credential's name, or in a variable marked secret."""
    if depth <= 0:
        return
    if isinstance(node, str):
        yield from _long_enough(_in_url(node))
    elif isinstance(node, list):
        for part in node:
            yield from _secrets(part, depth - 1)
    elif isinstance(node, dict):
        if is_credential(named(node)) or named(node).lower() == "cookie" or node.get("type") == "secret":
            yield from _long_enough(_texts(node.get("value"), 4))
        for key, part in node.items():
            if key == "auth":
                yield from _long_enough(_of_auth(part))
            elif isinstance(part, str) and is_credential(key):
                yield from _long_enough(iter([part]))
            yield from _secrets(part, depth - 1)


def _in_url(text: str) -> Iterator[str]:
    """Passwords and keys that are written into a URL."""
    if "://" in text and "@" in text:
        yield from _PASSWORD.findall(text)
    if "?" in text and "=" in text:
        yield from (value for name, value in _QUERY.findall(text) if is_credential(name))


def _of_auth(auth: Any) -> Iterator[str]:
    """The values of an `auth`, but for those that say where and under which name the credential is sent."""
    for scheme, fields in auth.items() if isinstance(auth, dict) else ():
        if scheme == "type":
            continue
        pairs = fields.items() if isinstance(fields, dict) else ()
        listed = [(named(f), f.get("value")) for f in fields if isinstance(f, dict)] if isinstance(fields, list) else []
        for key, value in [*pairs, *listed]:
            if not (scheme == "apikey" and key in ("key", "in")) and key not in _OPEN_FIELDS:
                yield from _texts(value, 4)


_OPEN_FIELDS = frozenset([
    "addTokenTo", "addAuthDataToBody", "algorithm", "authUrl", "accessTokenUrl", "grant_type", "headerPrefix", "region",
    "scope", "service", "signatureMethod", "tokenName", "tokenType", "version", "client_authentication", "realm",
    "disableRetryRequest", "queryParamKey", "isSecretBase64Encoded", "addParamsToHeader", "redirect_uri", "useBrowser",
    "challengeAlgorithm", "addTo",
])  # fmt: skip


def _long_enough(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        # A scheme may stand before it: `Bearer abc`.
        for secret in {text.strip(), text.rpartition(" ")[2].strip()}:
            if len(secret) >= _SHORTEST_SECRET and "{{" not in secret:
                yield secret
