"""Whose an address is: secrets and trust go no further than an origin."""

import httpx

Origin = tuple[str, str, int | None]
"""Scheme, host and port (RFC 6454)."""


def origin(url: str | httpx.URL) -> Origin:
    """The origin of an absolute address.

    Raises:
        httpx.InvalidURL: It is no address.
    """
    parsed = httpx.URL(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme)
    return parsed.scheme, parsed.host, port
