"""Asking: wishes turned into the sentences of one request, in one of many ways that people ask."""

import re
from collections.abc import Sequence
from random import Random

from toolbench.teacher.offline.wishes import Wish

_DO = (
    "Could you {}?", "Please {}.", "Can you {}?", "I need you to {}.", "I'd like you to {}.", "Would you {}?",
    "Can you please {}?", "Could you help me and {}?", "Would you be so kind as to {}?",
    "Is it possible to {}?", "{}.", "{}, please.", "To begin with, {}.",
)  # fmt: skip
_KNOW = (
    "Do you know {}?", "I'd like to know {}.", "I want to know {}.", "Can you tell me {}?", "I wonder {}.",
    "Could you find out {}?", "Tell me {}.", "Would you tell me {}?", "Any idea {}?",
    "Could you let me know {}?", "I need to know {}.",
)  # fmt: skip
_TOLD = (
    "I need {}.", "Could I have {}?", "I want to see {}.",
    "Do you have {}?", "Can you get {} for me?", "Let me know {}, please.", "I need to know {}.",
)  # fmt: skip
_NEXT = (
    "Then {}.", "Also, please {}.", "After that, {}.", "Could you also {}?", "I'd also like you to {}.", "Next, {}.",
    "Please {} too.", "And {}, if you can.", "Besides, {}.", "Can you {} as well?", "While you are at it, {}.",
    "On top of that, {}.", "Would you then {}?",
)  # fmt: skip
_LAST = ("Finally, {}.", "Last of all, {}.", "In the end, {}.", "One more thing: {}.")
_JOINED = ("Could you", "Can you", "Would you", "Please", "Could you please", "I need you to")

_VALUES_FIRST = 0.3
"""How often values that can stand before what is asked do."""


def asked(wishes: Sequence[Wish], rng: Random) -> str:
    """All wishes, one or two to a sentence."""
    first, *more = wishes
    if len(more) == 1 and rng.random() < 0.35:
        start = rng.choice(_JOINED)
        return f"{start} {first}, and {more[0]}{'?' if start[:5] in ('Could', 'Can y', 'Would') else '.'}"
    sentences = [_first(first, rng)]
    follow = rng.sample(_NEXT, min(len(more), len(_NEXT)))
    for index, wish in enumerate(more):
        last = index == len(more) - 1 and index > 0 and rng.random() < 0.6
        if not last and rng.random() < 0.35:
            sentences.append(_first(wish, rng))
            continue
        form = rng.choice(_LAST) if last else follow[index % len(follow)]
        sentences.append(form.format(wish))
    return " ".join(sentences)


def _first(wish: Wish, rng: Random) -> str:
    """A sentence of its own: a question, a request, or the values and then what is wanted of them."""
    question = re.match(r"(?:how|what|when|where|which|who|whether)\b", wish.what)
    forms: tuple[str, ...]
    if wish.thing and question:
        forms, said = _KNOW, wish.what
    elif wish.thing and re.match(r"the\b", wish.what) and rng.random() < 0.6:
        forms, said = _TOLD, wish.what
    else:
        forms, said = _DO, f"{wish.verb} {wish.what}"
    if wish.tail.startswith((" with ", ", given ")) and rng.random() < _VALUES_FIRST:
        values = re.sub(r"^,? (?:with|given) ", "", wish.tail)
        start = rng.choice(("With", "For", "Given", "Say I have"))
        asks = f"tell me {wish.what}" if question else f"I need {wish.what}" if forms is _TOLD else said
        return f"{start} {values}: {asks}."
    return _capital(rng.choice(forms).format(said + wish.tail))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
