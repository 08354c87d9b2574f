"""Pages from templates: autoescaped, under a policy that runs no script but the report's own files."""

import base64
import hashlib
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from toolbench.report.tabular import number
from toolbench.report.words import GROUPS, OUTCOMES, SPLITS

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {connect}; base-uri 'none'; "
    "form-action 'none'"
)
"""Content security policy of a page. `'self'` is a page's own folder and its neighbours for pages opened from a file,
too; a policy by hashes could not name data files that are written after the page. No fetch but where a server is asked
what is new: then `connect` is `'self'`."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("toolbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters.update(number=number)
    environment.globals.update(groups=GROUPS, outcomes=OUTCOMES, splits=SPLITS, policy=POLICY)
    environment.globals.update(style=_style, style_hash=_style_hash)
    return environment


def render(template: str, **values: Any) -> str:
    """The page `templates/<template>.html.jinja`, one newline at its end."""
    return _environment().get_template(f"{template}.html.jinja").render(**values).rstrip() + "\n"


def static() -> dict[str, bytes]:
    """Name and bytes of the style sheet, of the scripts and of the icon."""
    folder = files("toolbench.report").joinpath("static")
    found = {item.name: item.read_bytes() for item in folder.iterdir() if item.name.endswith((".css", ".js", ".svg"))}
    return dict(sorted(found.items()))


@cache
def _style() -> Markup:
    """The style sheet, for a page that has to be one file."""
    return Markup("\n" + static()["report.css"].decode("utf-8"))  # noqa: S704 - a file of ours


@cache
def _style_hash() -> Markup:
    """What allows that style sheet, and no other, within a page (CSP 3, section 2.3.1)."""
    return Markup("sha256-" + base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode())  # noqa: S704


def _visible(value: Any) -> Any:
    """Show that there are control or direction characters in untrusted text: they could hide or reorder it."""
    if not isinstance(value, str) or isinstance(value, Markup) or (value.isascii() and value.isprintable()):
        return value
    return "".join(
        "\ufffd"
        if c not in "\n\t" and (unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in _OVERRIDES)
        else c
        for c in value
    )


_OVERRIDES = {"LRO", "RLO", "LRE", "RLE", "PDF", "LRI", "RLI", "FSI", "PDI"}
