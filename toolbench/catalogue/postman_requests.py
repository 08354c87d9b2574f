"""One request of a Postman collection → one API."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from toolbench.catalogue.decode import decode
from toolbench.catalogue.drafts import ApiDraft, Broken, ParameterDraft, json_text, pointer
from toolbench.catalogue.parameters import EXAMPLE_LIMIT, is_credential
from toolbench.catalogue.postman_auth import credentials
from toolbench.catalogue.postman_bodies import body_parameters
from toolbench.catalogue.postman_values import (
    VARIABLE,
    Secrets,
    Variables,
    demanded,
    described,
    named,
    text_shape,
)

_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_RESPONSE_LIMIT = 20_000
_NAME_LIMIT = 200
_URL_LIMIT = 4000
_SHORTEST_IN_URL = 12
"""A shorter credential, such as the user name `postman`, may stand in an address by chance."""
_PLACEHOLDER = re.compile(r"\{([^{}/]+)\}")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What a client sets by itself, or what belongs to the body.
_OWN_HEADERS = frozenset([
    "accept", "accept-encoding", "cache-control", "connection", "content-length", "content-type", "host",
    "postman-token", "transfer-encoding", "user-agent",
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scope:
    """What the folders around a request say about it."""

    variables: Variables
    auth: Any
    folders: tuple[str, ...]


def request_api(entry: Any, scope: Scope, secrets: Secrets, name: str, place: str) -> ApiDraft:
    """The API of one entry of `item`. Raises Broken naming the field that is wrong."""
    if not isinstance(entry, dict):
        raise Broken("wrong_type", "", "is no object")
    request = entry.get("request")
    if isinstance(request, str):
        request = {"url": request}
    if not isinstance(request, dict):
        raise Broken("wrong_type", "/request", "must be a request or a URL")
    variables = Variables(entry["variable"], scope.variables) if "variable" in entry else scope.variables
    method = _method(request)
    reader = _Request(request, variables, secrets)
    url, query = reader.address()
    auth = request.get("auth")
    parameters = reader.parameters(url, query, scope.auth if auth is None else auth)
    return ApiDraft(
        name=name or f"{method} {_SCHEME.sub('', url)}"[:_NAME_LIMIT],
        description=described(request) or described(entry),
        method=method,
        url=url,
        parameters=parameters,
        response_schema=None,
        response_example=_response(entry.get("response"), secrets),
        pointer=place,
        tags=tuple(f for f in scope.folders if f),
    )


class _Request:
    """Reads the parts of one request."""

    def __init__(self, request: dict[str, Any], variables: Variables, secrets: Secrets) -> None:
        self._request, self._variables, self._secrets = request, variables, secrets
        url = request.get("url")
        self._url: dict[str, Any] = url if isinstance(url, dict) else {"raw": url}

    def address(self) -> tuple[str, str]:
        """URL with `{path}` parameters, and its query as text."""
        raw = self._url.get("raw")
        if not (isinstance(raw, str) and raw.strip()):
            raw = _assembled(self._url)
        raw = raw.strip().partition("#")[0]
        base, _, query = raw.partition("?")
        filled, _, more = self._variables.fill(base).partition("#")[0].partition("?")
        if len(filled) > _URL_LIMIT:
            raise Broken("long_url", "/request/url", f"has more than {_URL_LIMIT} characters")
        scheme, host, path = _parts(filled)
        if self._secrets.within(unquote(host + path), _SHORTEST_IN_URL):
            raise Broken("secret_in_url", "/request/url", "holds a credential; make it a variable or a header")
        return f"{scheme}://{host}{_path(path)}", "&".join(q for q in (query, more) if q)

    def parameters(self, url: str, query: str, auth: Any) -> tuple[ParameterDraft, ...]:
        """All parameters, required ones first. Postman knows no required ones, but a path needs all of its parts."""
        found: dict[tuple[str, str], ParameterDraft] = {}
        for draft in [
            *self._in_path(url),
            *self._in_query(query),
            *self._headers(),
            *body_parameters(self._request.get("body"), self._variables, self._secrets),
            *credentials(auth, self._variables),
        ]:
            key = draft.name.lower() if draft.location == "header" else draft.name
            found[draft.location, key] = draft
        return tuple(sorted(found.values(), key=lambda p: not p.required))

    def _in_path(self, url: str) -> list[ParameterDraft]:
        listed = self._url.get("variable")
        known = {named(v): v for v in listed if isinstance(v, dict)} if isinstance(listed, list) else {}
        names = dict.fromkeys(_PLACEHOLDER.findall(url))
        return [
            self._draft(
                known.get(name, {}), name, "path", required=True, secret=self._variables.secret(f"{{{{{name}}}}}")
            )
            for name in names
        ]

    def _in_query(self, query: str) -> list[ParameterDraft]:
        listed = self._url.get("query")
        if listed is not None and not isinstance(listed, list):
            raise Broken("wrong_type", "/request/url/query", "must be a list of parameters")
        entries = [e for e in listed or [] if named(e)]
        known = {named(e) for e in entries}
        try:
            written = parse_qsl(query, keep_blank_values=True)
        except ValueError as error:
            raise Broken("invalid_url", "/request/url", f"has a query that cannot be read: {error}") from None
        entries += [{"key": key, "value": value} for key, value in written if key.strip() and key.strip() not in known]
        return [self._draft(e, self._variables.fill(named(e)), "query") for e in entries]

    def _headers(self) -> list[ParameterDraft]:
        listed = self._request.get("header")
        if isinstance(listed, str):
            pairs = [line.partition(":") for line in listed.splitlines() if ":" in line]
            listed = [{"key": key.strip(), "value": value.strip()} for key, _, value in pairs]
        if listed is not None and not isinstance(listed, list):
            raise Broken("wrong_type", "/request/header", "must be a list of headers")
        out = []
        for index, entry in enumerate(listed or []):
            name = self._variables.fill(named(entry))
            if not name or name.lower() in _OWN_HEADERS:
                continue
            if not _HEADER_NAME.fullmatch(name):
                raise Broken("wrong_type", pointer("request", "header", index, "key"), "is no name of a header")
            out.append(self._draft(entry, name, "header", secret=name.lower() == "cookie"))
        return out

    def _draft(
        self, entry: dict[str, Any], name: str, location: str, *, required: bool = False, secret: bool = False
    ) -> ParameterDraft:
        secret = secret or is_credential(name) or self._variables.secret(entry.get("value"))
        schema, example = text_shape(entry.get("value"), self._variables)
        said, description = demanded(described(entry))
        return ParameterDraft(
            name=name,
            required=required or said,
            description=description,
            schema=schema,
            example=None if secret or example is None else self._secrets.clean(example, EXAMPLE_LIMIT),
            location=location,
            secret=secret,
        )


def _method(request: dict[str, Any]) -> str:
    method = request.get("method")
    if method is None:
        return "GET"
    if not isinstance(method, str) or method.strip().upper() not in _METHODS:
        raise Broken("unknown_method", "/request/method", "is no HTTP method")
    return method.strip().upper()


def _assembled(url: dict[str, Any]) -> str:
    """The URL of its parts, where only these are there."""
    host, path = (_joined(url.get(key), mark) for key, mark in (("host", "."), ("path", "/")))
    if not host:
        raise Broken("empty_url", "/request/url", "is missing or empty")
    protocol, port = url.get("protocol"), url.get("port")
    scheme = f"{protocol}://" if isinstance(protocol, str) and protocol else ""
    return f"{scheme}{host}{f':{port}' if isinstance(port, str | int) and port else ''}/{path.lstrip('/')}"


def _joined(parts: Any, mark: str) -> str:
    if isinstance(parts, str):
        return parts
    texts = [p.get("value") if isinstance(p, dict) else p for p in parts] if isinstance(parts, list) else []
    return mark.join(t for t in texts if isinstance(t, str))


def _parts(url: str) -> tuple[str, str, str]:
    """Scheme, host with its port, path. No scheme means http, as it does to Postman; user and password are left out."""
    match = _SCHEME.match(url)
    scheme, rest = (match[1].lower(), url[match.end() :]) if match else ("http", url)
    host, slash, path = rest.partition("/")
    unknown = VARIABLE.search(host)
    if unknown:
        raise Broken(
            "unresolved_variable",
            "/request/url",
            f"needs the variable '{unknown[1].strip()}', which has no value in the collection: set it as a collection "
            "variable, or export the collection with the values of its environment",
        )
    if scheme not in ("http", "https"):
        raise Broken("unsupported_scheme", "/request/url", "is no http or https address")
    host = host.rpartition("@")[2]
    if not host or re.search(r"[\s\\{}<>\x00-\x20\x7f]", host):
        raise Broken("invalid_url", "/request/url", "names no host")
    return scheme, host, slash + path


def _path(path: str) -> str:
    """`/users/:id/{{page}}` → `/users/{id}/{page}`: what is not known is a parameter of the path."""
    segments = []
    for segment in path.split("/"):
        named_part = segment[1:] if segment.startswith(":") and len(segment) > 1 else ""
        if named_part and not re.search(r"[{}:]", named_part):
            segment = f"{{{named_part}}}"
        segments.append(VARIABLE.sub(lambda m: "{" + (m[1].strip().lstrip("$") or "value") + "}", segment))
    return "".join(c for c in "/".join(segments) if c.isprintable()).replace(" ", "%20")


def _response(listed: Any, secrets: Secrets) -> str | None:
    """The first saved answer of success that is JSON, credentials emptied."""
    for response in listed if isinstance(listed, list) else ():
        code, body = (response.get("code"), response.get("body")) if isinstance(response, dict) else (None, None)
        if isinstance(code, bool) or not isinstance(code, int) or not 200 <= code < 300 or not isinstance(body, str):
            continue
        try:
            value = secrets.clean(decode(body.encode("utf-8", "replace"), ""), _RESPONSE_LIMIT)
        except Broken:
            continue
        if value not in (None, "", {}, []):
            return json_text(value, _RESPONSE_LIMIT)
    return None
