import re
from pathlib import Path
from typing import Any, get_args

import yaml
from attrs import fields, has, resolve_types

from strandline.config.model import AgentSection, Config, load_config
from strandline.flows.discovery import BUILT_IN, agent_kind

EXAMPLE = Path(__file__).parent.parent.parent / "config.example.yaml"


def _keys(cls: Any, prefix: str = "") -> set[str]:
    resolve_types(cls)
    found = set()
    for attribute in fields(cls):
        name = f"{prefix}{attribute.name}"
        found.add(name)
        inner = next((t for t in (attribute.type, *get_args(attribute.type)) if has(t)), None)
        if inner is not None:
            found |= _keys(inner, f"{name}.")
        if cls is AgentSection and attribute.name == "options":
            for kind in BUILT_IN:
                found |= _keys(agent_kind(kind).Options, f"{name}.")
    return found


def _written(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, list):
        return set().union(*(_written(item, prefix) for item in value))
    if not isinstance(value, dict):
        return set()
    return set().union(*({f"{prefix}{k}"} | _written(v, f"{prefix}{k}.") for k, v in value.items()))


def test_the_example_is_a_config_that_can_be_used() -> None:
    config = load_config(EXAMPLE, {"STRANDLINE_PASSWORD": "secret"})

    assert config.homeserver.password == "secret"
    assert config.storage.data_dir == EXAMPLE.parent / "data"


def test_the_example_explains_every_key_and_no_other() -> None:
    text = EXAMPLE.read_text()
    for left_out in ("access_token:", "space_avatar:"):
        text = text.replace(f"# {left_out}", left_out)
    text = re.sub(
        r"^  # ((?:- id|  kind|  options|    \w+):.*)$", r"  \1", text, flags=re.MULTILINE
    )

    assert _written(yaml.safe_load(text)) == _keys(Config)


def test_the_examples_values_are_the_defaults() -> None:
    example = load_config(EXAMPLE, {"STRANDLINE_PASSWORD": "secret"})

    for section in ("commands", "replies", "limits", "log"):
        assert getattr(example, section) == type(getattr(example, section))()
