"""Looking at URLs that may be none."""

from urllib.parse import urlsplit


def urlsplit_safe(url: str) -> tuple[str, str]:
    """Scheme and host of a URL; both empty where it is none (urlsplit raises on a broken IPv6 address)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return (parts.scheme, parts.netloc) if parts.scheme in ("http", "https") else ("", "")
