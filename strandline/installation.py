"""How Strandline itself was installed, for the commands that bring a part which is missing."""

import json
from importlib.metadata import Distribution, distribution
from urllib.parse import urlsplit
from urllib.request import url2pathname

NAME = "strandline"


def pip_install(extra: str, *, found: Distribution | None = None) -> str:
    """The command that installs Strandline with an extra, from where it was installed.

    Args:
        extra: The extra's name.
        found: The installed distribution, if it is not this environment's.
    """
    url, is_editable = _origin(found or distribution(NAME))
    if url is None:
        return f"pip install '{NAME}[{extra}]'"
    if is_editable:
        return f"pip install --editable '{url2pathname(urlsplit(url).path)}[{extra}]'"
    return f"pip install '{NAME}[{extra}] @ {url}'"


def requirement(*, found: Distribution | None = None) -> tuple[str, str]:
    """What a project requires to get this Strandline: without extras, and with ``test``.

    It names the URL if there was one: a version alone would be looked for on an index.

    Args:
        found: The installed distribution, if it is not this environment's.
    """
    found = found or distribution(NAME)
    url, _ = _origin(found)
    source = f">={found.version}" if url is None else f" @ {url}"
    return f"{NAME}{source}", f"{NAME}[test]{source}"


def _origin(found: Distribution) -> tuple[str | None, bool]:
    """The URL from which it was installed, None for an index; whether it is editable (PEP 610)."""
    recorded = json.loads(found.read_text("direct_url.json") or "{}")
    return recorded.get("url"), recorded.get("dir_info", {}).get("editable", False)
