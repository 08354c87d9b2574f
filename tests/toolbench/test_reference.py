"""The documentation of settings and commands is the code's own."""

from pathlib import Path

from toolbench.reference import page
from toolbench.settings import Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_code_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == page(), "run: python -m toolbench.reference > docs/configuration.md"


def test_every_setting_has_a_meaning() -> None:
    undocumented = [
        f"{section}.{name}"
        for section, outer in Settings.model_fields.items()
        for name, field in getattr(outer.annotation, "model_fields", {section: outer}).items()
        if not field.description
    ]
    assert undocumented == []
