"""Which call loads a model: the one whose document shares most words with the question."""

import re
from collections.abc import Mapping
from typing import Any

from toolbench.teacher.offline.words import STOP, stem

_WORD = re.compile(r"[^\W\d_]{2,}")


def loading(block: Mapping[str, Any]) -> str:
    """A code block with the `api_call` of the document that fits best, the first of equals.

    Without documents there is nothing to know: a text without a call.
    """
    wanted = _stems(block["question"])
    documents = [d for d in block["documents"] if isinstance(d, dict) and isinstance(d.get("api_call"), str)]
    if not documents:
        return "None of the documents I was given names a call."
    best = max(documents, key=lambda document: len(wanted & _stems(str(document))))
    return f"```python\n{best['api_call']}\n```"


def _stems(text: str) -> set[str]:
    return {stem(word) for word in _WORD.findall(text) if word.lower() not in STOP}
