"""Pages from templates: autoescaped, self-contained, nothing that could run or call home."""

import re
import unicodedata
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from toolbench.digests import digest
from toolbench.report.tabular import number
from toolbench.report.words import GROUPS, OUTCOMES, SPLITS

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


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
    environment.filters.update(number=number, page=page_name)
    environment.globals.update(groups=GROUPS, outcomes=OUTCOMES, splits=SPLITS)
    return environment


def render(template: str, **values: Any) -> str:
    """The page `templates/<template>.html.jinja`, one newline at its end."""
    return _environment().get_template(f"{template}.html.jinja").render(**values).rstrip() + "\n"


def page_name(solution_id: str) -> str:
    """The file name of a solution's page. An id that is no plain word, and could lead elsewhere, becomes its digest."""
    return f"{solution_id if _SAFE_NAME.fullmatch(solution_id) else digest(solution_id)}.html"


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
