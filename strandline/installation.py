"""Finds out from where Strandline was installed, for ``pip`` commands and for requirements."""

import json
from importlib.metadata import Distribution, distribution
from urllib.parse import urlsplit
from urllib.request import url2pathname

NAME = "strandline"


def pip_install(extra: str, *, found: Distribution | None = None) -> str:
    """Return the ``pip`` command that installs Strandline with an extra, from its present source.

    Args:
        extra: The extra's name.
        found: The installed distribution of Strandline; None for that of this environment.
    """
    url, is_editable = _origin(found or distribution(NAME))
    if url is None:
        return f"pip install '{NAME}[{extra}]'"
    if is_editable:
        return f"pip install --editable '{url2pathname(urlsplit(url).path)}[{extra}]'"
    return f"pip install '{NAME}[{extra}] @ {url}'"


def requirement(*, found: Distribution | None = None) -> tuple[str, str]:
    """Return two requirements for a project that uses this Strandline: plain, and with ``test``.

    ``test`` is an extra. If Strandline was installed from a URL, the requirements contain the URL,
    because pip would search for a version in an index.

    Args:
        found: The installed distribution of Strandline; None for that of this environment.
    """
    found = found or distribution(NAME)
    url, _ = _origin(found)
    source = f">={found.version}" if url is None else f" @ {url}"
    return f"{NAME}{source}", f"{NAME}[test]{source}"


def _origin(found: Distribution) -> tuple[str | None, bool]:
    """Return the URL from which Strandline was installed, and whether that is editable.

    The URL is None if Strandline was installed from an index.
    """
    recorded = json.loads(found.read_text("direct_url.json") or "{}")
    return recorded.get("url"), recorded.get("dir_info", {}).get("editable", False)
