"""Text from strangers: markup out, whitespace collapsed, cut between words."""

import html
import re

_ELEMENTS = (
    "a|abbr|article|b|blockquote|body|br|button|center|code|dd|details|div|dl|dt|em|embed|figure|font|footer|form|h[1-6]"
    "|head|header|hr|html|i|iframe|img|input|kbd|label|li|link|main|mark|meta|nav|object|ol|p|pre|s|section|small|span"
    "|strike|strong|style|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|tr|u|ul|video"
)
# Only HTML's own elements: `/users/<name>` in a description is documentation.
_TAG = re.compile(rf"</?(?:{_ELEMENTS})(?:\s[^<>]*)?/?>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_DEAD = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ufeff]")


def plain(text: str) -> str:
    """One line without HTML, entities, control or direction-changing characters."""
    if not text:
        return text
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", _DEAD.sub(" ", text))
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words where one ends in the second half of the limit."""
    if len(text) <= limit:
        return text
    head = text[: limit + 1]
    cut = head.rfind(" ")
    return (head[:cut] if cut > limit // 2 else text[:limit]).rstrip(" ,;:-")
