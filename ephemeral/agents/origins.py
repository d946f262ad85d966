"""Whose an address is: secrets and trust go no further than an origin."""

import httpx

Origin = tuple[str, str, int | None]
"""Scheme, host and port (RFC 6454)."""


def check_base(_options: object, _attribute: object, url: str) -> None:
    """A validator of an address to which paths are added: it has no query and no fragment.

    Raises:
        ValueError: It has.
    """
    if "?" in url or "#" in url:
        problem = "url: paths are added to it, so it can't have a query; give a token instead"
        raise ValueError(problem)


def origin(url: str | httpx.URL) -> Origin:
    """The origin of an absolute address.

    Raises:
        httpx.InvalidURL: It is no address.
    """
    parsed = httpx.URL(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme)
    return parsed.scheme, parsed.host, port
