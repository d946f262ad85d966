"""Converts plain values to attrs classes with cattrs, and reports each error with its path."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import cattrs
from attrs import fields, has
from cattrs import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn

from strandline.config.file import KeyPath

T = TypeVar("T")
Problem = tuple[KeyPath, str]

QUOTED = 60
"""Maximum characters of a wrong value that an error quotes."""

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def shaped(value: object, cls: type[T], problems: list[Problem], path: KeyPath) -> T | None:
    """Convert a plain value of the config to an instance of ``cls``.

    Args:
        value: The value: dicts, lists and scalars.
        cls: The class.
        problems: If the value does not fit, each reason is appended here.
        path: The path of the value in the config, for the problems.

    Returns:
        The instance; None if the value does not fit.
    """
    try:
        return _converter.structure(value, cls)
    except Exception as error:  # noqa: BLE001  # cattrs raises what hooks raise; all is reported
        problems.extend(_problems(error, path))
        return None


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` if a known name is similar to ``name``; else empty."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _problems(error: BaseException, path: KeyPath, *, is_secret: bool = False) -> list[Problem]:
    """Return the problems in an error of a conversion, each with its path, without secrets.

    A field is a secret if its class leaves the field out of ``repr``. All fields below a secret
    field are secrets too. ``is_secret`` is whether ``path`` is at or below such a field.
    """
    if isinstance(error, ClassValidationError | IterableValidationError):
        noted, bare = error.group_exceptions()
        hidden = _secrets(error.cl) if isinstance(error, ClassValidationError) else frozenset()
        found = []
        for inner, note in noted:
            step = _step(note)
            found += _problems(inner, (*path, step), is_secret=is_secret or step in hidden)
        return found + [p for e in bare for p in _problems(e, path, is_secret=is_secret)]
    if isinstance(error, ForbiddenExtraKeysError):
        known = [a.name for a in fields(error.cl)]
        return [_unknown(key, known, path) for key in sorted(error.extra_fields)]
    if isinstance(error, KeyError):
        return [(path, "is missing; add it (see config.example.yaml)")]  # the path names the key
    if is_secret:
        return [(path, "text is expected here; put it in quotes")]
    return [(path, str(error))]


def _secrets(cls: type[Any]) -> frozenset[str]:
    return frozenset(a.name for a in fields(cls) if a.repr is False) if has(cls) else frozenset()


def _step(note: Any) -> str | int:
    step: str | int = note.name if hasattr(note, "name") else note.index
    return step


def _unknown(key: str, known: list[str], path: KeyPath) -> Problem:
    name, colon, _value = key.partition(":")
    if colon:  # {password:secret} is a key with no value
        return (*path, name), "unknown key; put a space after the colon"
    return (*path, key), f"unknown key{nearest(key, known) or _choice(known)}"


def _choice(known: list[str]) -> str:
    return f"; known here: {', '.join(known)}"


def _exactly(kind: type[Any]) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _cls: Any) -> Any:
        accepted = (int, float) if kind is float else (kind,)
        if isinstance(value, bool) is not (kind is bool) or not isinstance(value, accepted):
            raise TypeError(_misfit(value, _WORDS[kind]))
        try:
            return kind(value)
        except OverflowError as error:
            problem = "is larger than any number here can be; write a smaller one"
            raise ValueError(problem) from error

    return structure


def _misfit(value: object, wanted: str) -> str:
    quotes = "; put it in quotes" if wanted == "text" and isinstance(value, int | float) else ""
    return f"{wanted} is expected here, not {_found(value)}{quotes}"


def _found(value: object) -> str:
    """The value for an error message; for a list or mapping, only its type."""
    kinds = {type(None): "nothing", dict: "a mapping of keys", list: "a list"}
    return kinds.get(type(value)) or f"{value!r}"[:QUOTED]


def _class(cls: type[Any]) -> Callable[[Any, Any], Any]:
    structure = make_dict_structure_fn(cls, _converter, _cattrs_forbid_extra_keys=True)

    def from_mapping(value: Any, target: Any) -> Any:
        may_be_empty = {a.name for a in fields(cls) if a.default is None}
        given = {
            k: v
            for k, v in _mapping(value, target).items()
            if v is not None or k not in may_be_empty
        }
        return structure(given, target)

    return from_mapping


def _mapping(value: Any, _cls: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        found = _found(value) if isinstance(value, list | None) else "a single value"
        message = f"a mapping of keys is expected here, not {found}"
        raise TypeError(message)
    return value


def _tuple(cls: Any) -> Callable[[Any, Any], Any]:
    listed: Any = list[cls.__args__[0]]
    structure = _converter.get_structure_hook(listed)

    def from_list(value: Any, _target: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError(_misfit(value, "a list"))
        return tuple(structure(value, listed))

    return from_list


_converter = cattrs.Converter(detailed_validation=True)
for _kind in _WORDS:
    _converter.register_structure_hook(_kind, _exactly(_kind))
_converter.register_structure_hook(Path, lambda value, _: Path(_exactly(str)(value, str)))
_converter.register_structure_hook_func(lambda cls: cls == dict[str, Any], _mapping)
_converter.register_structure_hook_factory(has, _class)
_converter.register_structure_hook_factory(
    lambda cls: getattr(cls, "__origin__", None) is tuple, _tuple
)
