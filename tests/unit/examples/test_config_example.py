from pathlib import Path

import pytest

from strandline.config.model import load_config
from strandline.flows.discovery import find_flows

FOLDER = Path(__file__).parents[3] / "examples"

NO_FLOWS = {"__init__", "platform_server"}


def test_the_example_config_names_every_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    config = load_config(FOLDER / "config.example.yaml", {"STRANDLINE_PASSWORD": "secret"})

    found, problems = find_flows(config.flows)

    assert problems == []
    modules = [each.flow.__module__ for each in found if each.place is not None]
    assert sorted(modules) == sorted(
        path.stem for path in FOLDER.glob("*.py") if path.stem not in NO_FLOWS
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_a_page_that_says_what_a_restart_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.count("\n") < 120
    assert "restart" in text.split('"""')[1]
