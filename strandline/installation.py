"""How Strandline itself was installed, for commands that install a missing part."""

import json
from importlib.metadata import Distribution, distribution
from urllib.parse import urlsplit
from urllib.request import url2pathname

NAME = "strandline"


def pip_install(extra: str, *, found: Distribution | None = None) -> str:
    """The command that installs Strandline with an extra, from the same source as before.

    Args:
        extra: The extra's name.
        found: The installed distribution; default: that of this environment.
    """
    url, is_editable = _origin(found or distribution(NAME))
    if url is None:
        return f"pip install '{NAME}[{extra}]'"
    if is_editable:
        return f"pip install --editable '{url2pathname(urlsplit(url).path)}[{extra}]'"
    return f"pip install '{NAME}[{extra}] @ {url}'"


def requirement(*, found: Distribution | None = None) -> tuple[str, str]:
    """The requirements of a project on this Strandline: without extras, and with ``test``.

    They contain the URL, if it was installed from one: pip would search for a version in an index.

    Args:
        found: The installed distribution; default: that of this environment.
    """
    found = found or distribution(NAME)
    url, _ = _origin(found)
    source = f">={found.version}" if url is None else f" @ {url}"
    return f"{NAME}{source}", f"{NAME}[test]{source}"


def _origin(found: Distribution) -> tuple[str | None, bool]:
    """The URL from which it was installed (None: an index), and whether it is editable."""
    recorded = json.loads(found.read_text("direct_url.json") or "{}")
    return recorded.get("url"), recorded.get("dir_info", {}).get("editable", False)
