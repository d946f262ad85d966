import json
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
from attrs import frozen

from strandline.installation import pip_install, requirement

CHECKOUT = "file:///srv/strand%20line"


@frozen
class Installed:
    """What pip records of an installation."""

    folder: Path

    def of(self, origin: object) -> Distribution:
        info = self.folder / "strandline-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strandline\nVersion: 1.2\n")
        if origin is not None:
            (info / "direct_url.json").write_text(json.dumps(origin))
        return PathDistribution(info)


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


def test_what_came_from_an_index_is_installed_from_it_again(installed: Installed) -> None:
    found = installed.of(None)

    assert pip_install("test", found=found) == "pip install 'strandline[test]'"
    assert requirement(found=found) == ("strandline>=1.2", "strandline[test]>=1.2")


def test_what_came_from_a_folder_is_installed_from_it_again(installed: Installed) -> None:
    found = installed.of({"url": CHECKOUT, "dir_info": {}})

    assert pip_install("openai", found=found) == f"pip install 'strandline[openai] @ {CHECKOUT}'"
    assert requirement(found=found) == (
        f"strandline @ {CHECKOUT}",
        f"strandline[test] @ {CHECKOUT}",
    )


def test_an_editable_checkout_stays_editable(installed: Installed) -> None:
    found = installed.of({"url": CHECKOUT, "dir_info": {"editable": True}})

    assert pip_install("a2a", found=found) == "pip install --editable '/srv/strand line[a2a]'"
