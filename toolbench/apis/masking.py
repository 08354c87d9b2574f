"""Credentials taken out of what hosts answer: they like to repeat the key they were sent."""

import base64
import binascii
import html
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "(secret)"


class Mask:
    """Replaces credentials in every spelling a host may answer with."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spelled: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Mask these as well."""
        spelled = {s for secret in secrets for part in _parts(secret) for s in _spellings(part)}
        # The longest first: a part must not be cut out of the whole.
        self._spelled = sorted({*self._spelled, *spelled} - {""}, key=lambda s: (-len(s), s))

    def text(self, text: str) -> str:
        """`text` without credentials."""
        for spelled in self._spelled:
            text = text.replace(spelled, MASK)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value without credentials, its keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and self.text(str(value)) == MASK:
            return MASK
        return value


def _parts(secret: str) -> list[str]:
    """The secret; what stands behind `Basic` or `Bearer`; the `user:password` that Basic packs, and the password."""
    scheme, _, rest = secret.strip().partition(" ")
    parts = [secret, secret.strip()]
    if rest and scheme.lower() in ("basic", "bearer", "token", "apikey"):
        parts.append(rest.strip())
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        parts += [pair, pair.partition(":")[2]]
    return parts


def _spellings(secret: str) -> list[str]:
    data = secret.encode("utf-8", "replace")
    quoted = [quote(data, safe=""), quote(data), quote_plus(data)]
    packed = [base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()]
    escaped = _escaped(secret)
    # Within a text within a text, as hosts do that repeat a whole request.
    escaped += [again for once in escaped for again in _escaped(once)]
    return [
        secret,
        *escaped,
        *quoted,
        *(_lower_hex(q) for q in quoted),
        *packed,
        *(p.rstrip("=") for p in packed),
        html.escape(secret),
        repr(secret)[1:-1],
    ]


def _escaped(text: str) -> list[str]:
    """As JSON writes it, with and without escapes for other letters and for the slash."""
    plain = [json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]]
    return [*plain, *(p.replace("/", "\\/") for p in plain)]


def _lower_hex(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])
