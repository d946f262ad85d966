"""Reads a config file (YAML) and records the line of each value, for error messages."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from attrs import define, field

KeyPath = tuple[str | int, ...]

_MAX_VALUES = 10_000
"""The maximum number of values in a file. Nested YAML aliases can expand to far more."""

_QUOTED = re.compile(r" '![^']*'")
"""Matches a tag that an error of the YAML library quotes.

The tag may be a password that begins with ``!``.
"""

_NO_TEXT = re.compile("[\0\ud800-\udfff]")

_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)\}")


@define
class ConfigFile:
    """The content of a config file.

    Attributes:
        name: The path of the file, for error messages.
        value: Plain dicts, lists and scalars, with each ``${NAME}`` replaced; None if the file is
            empty or can't be read.
        lines: For each path into ``value``, its line, counted from 1.
        filled: For the path of each text that had ``${`` replaced, the new text and the original.
            The new text may be a secret, so errors quote the original.
        problems: The errors found while the file was read, each with its line; line 0 stands for
            the whole file.
    """

    name: str
    value: Any = None
    lines: dict[KeyPath, int] = field(factory=dict)
    filled: dict[KeyPath, tuple[str, str]] = field(factory=dict)
    problems: list[tuple[int, str]] = field(factory=list)

    def line_of(self, path: KeyPath) -> int:
        """Return the line of ``path``, or of its nearest parent that has one; else 1."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_config_file(path: Path, environment: Mapping[str, str]) -> ConfigFile:
    """Read the config file at ``path``; nothing is raised, errors are in the result's ``problems``.

    ``environment`` has the values of the variables for each ``${NAME}``.
    """
    file = ConfigFile(str(path))
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        file.value = _Reader(file, environment).read(node, ()) if node is not None else None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        file.problems.append((0, f"can't be read ({reason}); name the file with --config"))
    except UnicodeDecodeError:
        file.problems.append((1, "is not UTF-8 text; save it as UTF-8"))
    except (RecursionError, _Endless):
        file.problems.append((1, "is nested too deeply, or in itself; write each value out"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        file.problems.append((line, f"is not valid YAML: {_message(error)}"))
    except yaml.YAMLError as error:
        file.problems.append((1, f"is not valid YAML: {' '.join(str(error).split())}"))
    return file


def _message(error: yaml.MarkedYAMLError) -> str:
    """Return the YAML error's message and a remedy, without texts that may be passwords."""
    words = error.problem or error.context or ""
    if words == "but found another document":
        return "there is a second document after ---; keep one"
    if isinstance(error, yaml.composer.ComposerError):
        return "* and & refer to other values here; put a text that begins with one in quotes"
    return f"{_QUOTED.sub('', words)}; correct the indentation or the quotes here"


class _Endless(Exception):
    """The file has more values than a config can have."""


class _Reader:
    """Converts YAML nodes to plain values, and records the line of each."""

    def __init__(self, file: ConfigFile, environment: Mapping[str, str]) -> None:
        self._file = file
        self._environment = environment
        self._scalars = yaml.SafeLoader("")
        self._values = 0

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        self._values += 1
        if self._values > _MAX_VALUES:
            raise _Endless
        self._file.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, number)) for number, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "a key must be one word; write KEY: VALUE")
                continue
            key = str(key_node.value)
            if key in values:
                problem = f"{dotted((*path, key))}: duplicate key; remove one"
                self._file.problems.append((line, problem))
            self._file.lines[*path, key] = line
            values[key] = self.read(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        try:
            value = self._scalars.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError):  # their texts have the value, perhaps a password
            self._problem(node, path, "this value can't be read as YAML; put it in quotes")
            return node.value
        return self._filled_in(value, node, path) if isinstance(value, str) else value

    def _filled_in(self, text: str, node: yaml.Node, path: KeyPath) -> str:
        def fill(found: re.Match[str]) -> str:
            name = found[1]
            if name is None:
                return "${"
            if name not in self._environment:
                problem = f"the environment variable {name!r} is not set; set it, or write $${{"
                self._problem(node, path, problem)
            return self._environment.get(name, found[0])

        filled = _VARIABLE.sub(fill, text)
        if _NO_TEXT.search(filled):
            self._problem(node, path, "this holds a character that is no text; take it out")
            filled = _NO_TEXT.sub("?", filled)
        if "${" in _VARIABLE.sub("", text):
            self._problem(node, path, "'${' has no '}'; write ${NAME}, or $${ for these characters")
        if filled != text:
            self._file.filled[path] = (filled, text)
        return filled

    def _problem(self, node: yaml.Node, path: KeyPath, problem: str) -> None:
        text = f"{dotted(path)}: {problem}" if path else problem
        self._file.problems.append((node.start_mark.line + 1, text))


def dotted(path: KeyPath) -> str:
    """The path as text: ``("agents", 1, "id")`` as ``agents[1].id``."""
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return text.removeprefix(".")


def flows_named_in(path: Path) -> list[str]:
    """Return the import paths under ``flows:`` of a config file, even if it has errors elsewhere.

    Empty if there are none, or if the file can't be read.
    """
    config = read_config_file(path, {}).value
    flows = config.get("flows") if isinstance(config, dict) else None
    return [flow for flow in flows if isinstance(flow, str)] if isinstance(flows, list) else []
