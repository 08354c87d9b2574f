"""The language of an instruction, told by py3langid: its model comes with the package, nothing is downloaded."""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from toolbench.errors import UsageError
from toolbench.instructions.written import Reason, Written

_SURE = 0.01
"""An instruction is in another language if the asked one is less probable than this. Of 552 English queries with names
of all the world in them, none came below 0.8."""

_KIN: Mapping[str, tuple[str, ...]] = {
    "ar": ("arz", "ary"),
    "bs": ("hr", "sr"),
    "en": ("pcm",),
    "es": ("ext",),
    "hr": ("bs", "sr"),
    "id": ("ms",),
    "ms": ("id",),
    "no": ("nn", "da"),
    "sr": ("bs", "hr"),
    "zh": ("wuu", "yue"),
}
"""Languages that short texts do not tell apart: their probabilities count together."""

# What is quoted, and addresses, may be in any language.
_FOREIGN = re.compile(r"""(?<!\w)(['"‘“«„])[^\n]{1,300}?['"’”»“](?!\w)|\b\w{2,10}://\S+|[\w.+-]{1,64}@\S+|www\.\S+""")
_ENOUGH = 1000
"""Characters that are looked at."""


def other_language(written: Written, language: str) -> Reason | None:
    """The text must not surely be in another language than `language`; empty: any will do.

    Raises UsageError if the language is not known.
    """
    if not language.strip():
        return None
    asked = code(language)
    # Without what is quoted, unless hardly anything is left.
    bare = _FOREIGN.sub(" ", written.text[: 4 * _ENOUGH])
    text = (bare if len(bare.split()) > 2 else written.text)[:_ENOUGH]
    if not any(c.isalpha() for c in text):
        return None
    chances = dict(_identifier().rank(text))
    if sum(float(chances.get(known, 0.0)) for known in (asked, *_KIN.get(asked, ()))) >= _SURE:
        return None
    likely = max(chances, key=lambda known: float(chances[known]))
    return "wrong_language", f"The text is not in {language}, but probably in {_name(likely)}."


@cache
def code(language: str) -> str:
    """The code (ISO 639) of a language named as users name it: `English`, `Deutsch`, `de`, `pt-BR`.

    Raises UsageError if it is not known.
    """
    asked = language.strip().casefold()
    short = re.split(r"[-_]", asked)[0]
    for known, names in _names().items():
        if asked in names or short == known or (len(short) < 4 and short in names):
            return known
    if short in _identifier().labels:
        return short
    known_names = ", ".join(names[0].capitalize() for names in _names().values())
    raise UsageError(f"The language {language!r} is not known: give a code such as de, or one of {known_names}.")


def _name(known: str) -> str:
    return _names().get(known, [known])[0].capitalize()


@cache
def _names() -> dict[str, list[str]]:
    source = files("toolbench.instructions").joinpath("languages.json")
    names: dict[str, list[str]] = json.loads(source.read_text(encoding="utf-8"))
    return names


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
