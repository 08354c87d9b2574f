"""Text from outside without lone surrogates, such as half an emoji: neither a column nor a request can hold them."""

import dataclasses
import json

from toolbench.records import Reply, Response


def mended(text: str) -> str:
    """The text with U+FFFD for each lone surrogate; two halves that stand together become their character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def mended_reply(reply: Reply) -> Reply:
    """What the teacher said, mended."""
    return dataclasses.replace(
        reply,
        content=reply.content and mended(reply.content),
        reasoning=reply.reasoning and mended(reply.reasoning),
        calls=[dataclasses.replace(c, name=mended(c.name), arguments=mended(c.arguments)) for c in reply.calls],
        error=mended(reply.error),
    )


def mended_response(response: Response) -> Response:
    """What an API answered, mended; the very object, as nearly always, if there is nothing to mend."""
    found = response.envelope
    if mended(found) == found:
        return response
    value = json.loads(mended(json.dumps(response.response, ensure_ascii=False)))
    return dataclasses.replace(response, error=mended(response.error), response=value)
