"""URLs that settings name, checked as all outputs over HTTP do."""

from urllib.parse import SplitResult, urlsplit


def web_url(url: str) -> SplitResult:
    """Return the parts of an http or https URL.

    Raises:
        ValueError: it is none, or has no host, or a port that there cannot be. The text has nothing
            of the URL, which may hold secrets.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("must be an http or https URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https URL")
    try:
        has_port = parts.port != 0
    except ValueError:
        has_port = False
    if not has_port:
        raise ValueError("must have a port from 1 to 65535")
    return parts
