"""Converts records to JSON and back.

Types are checked strictly: a bool is no int. JSON fields that the bot's own record classes don't
know are kept in ``extra``, and written again.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import orjson
from attrs import fields, fields_dict, has, resolve_types
from cattrs import BaseValidationError, StructureHandlerNotFoundError, transform_error
from cattrs.cols import is_mapping
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.orjson import OrjsonConverter, make_converter

from durable.records import IssuedNumber
from durable.store.errors import CorruptValue
from durable.store.scalars import KEYS, is_enum, read_enum, register_scalars
from fsm.values.ids import PlatformChatId

T = TypeVar("T")

MAX_NUMBER_DIGITS = 18
"""Maximum digits of a platform chat number: it must fit SQLite's 64-bit integers."""


def to_json(record: object) -> str:
    """The record as JSON text, with unescaped Unicode."""
    return dump(_converter.unstructure(record))


def from_json(cls: type[T], text: str) -> T:
    """Return the record of class ``cls`` that ``to_json`` has written as ``text``.

    Raises:
        CorruptValue: The text is not JSON, or the JSON can't be read as a ``cls``.
    """
    try:
        value = orjson.loads(text.encode())
    except ValueError as error:  # UnicodeEncodeError and JSONDecodeError are ValueErrors
        raise CorruptValue(cls.__name__, str(error)) from error
    try:
        return _converter.structure(value, cls)
    except StructureHandlerNotFoundError as error:
        raise CorruptValue(cls.__name__, str(error)) from error
    except (BaseValidationError, TypeError, ValueError, KeyError) as error:
        raise CorruptValue(cls.__name__, "; ".join(transform_error(error))) from error


def why_not_storable(cls: type) -> str | None:
    """The reason why records of the class can't be read back; None if they can."""
    return next(_unstorable_parts(cls, cls.__name__, set()), None)


def plain(record: object) -> Any:
    """Return the record as a JSON value, of dicts, lists, strings, numbers, bools and None."""
    return load(to_json(record))


def of_plain(cls: type[T], value: object) -> T:
    """Return the record of class ``cls`` that ``plain`` has converted to ``value``.

    Raises:
        CorruptValue: The value can't be read as a ``cls``.
    """
    return from_json(cls, dump(value))


def dump(value: object) -> str:
    """Return a JSON value as JSON text. Characters that UTF-8 can't encode are replaced."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # a lone surrogate in a message must not stop the loop that answers it
        return orjson.dumps(_writable(value)).decode()


def load(text: str) -> Any:
    """Return the JSON value that ``dump`` has written as ``text``."""
    return orjson.loads(text)


def _writable(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_writable(k): _writable(v) for k, v in value.items()}
        case list() | tuple():
            return [_writable(item) for item in value]
        case _:
            return value


def _unstorable_parts(kind: Any, where: str, seen: set[Any]) -> Iterator[str]:
    """Yield a message for each part of a type that can't be read back: where it is, and why.

    Args:
        kind: The type, as in an annotation.
        where: The class and field that have the type, for the messages.
        seen: The classes whose fields are checked already.
    """
    kind = getattr(kind, "__supertype__", kind)
    if kind is None or isinstance(kind, TypeVar):
        return  # no type is declared, so it is kept as plain JSON
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        kind, args = args[0], args[:1]
    if isinstance(origin, type) and has(origin) and origin not in seen:
        yield from _unstorable_fields(origin, seen | {origin})
    if is_mapping(kind) and args and not (_is_key(args[0]) or _has_int_keys(kind)):
        yield f"{where}: what has been saved under keys of {_named(args[0])} can't be found again"
    if origin is not Literal:
        for arg in args:
            if arg not in (Ellipsis, NoneType) and not isinstance(arg, list):
                yield from _unstorable_parts(arg, where, seen)
    try:
        _converter.get_structure_hook(kind)
    except (StructureHandlerNotFoundError, NameError, TypeError):
        reason = "which of them it was is not saved" if args else "it can't be read back"
        yield f"{where}: {_named(kind)}: {reason}"


def _unstorable_fields(cls: type, seen: set[Any]) -> Iterator[str]:
    try:
        resolve_types(cls)
    except NameError as error:
        yield f"{cls.__name__}: {error}"
    else:
        for attribute in fields(cls):
            yield from _unstorable_parts(attribute.type, f"{cls.__name__}.{attribute.name}", seen)


def _is_key(kind: Any) -> bool:
    kind = getattr(kind, "__supertype__", kind)
    if get_origin(kind) is Literal:
        return all(isinstance(value, str) for value in get_args(kind))
    return kind is Any or (isinstance(kind, type) and issubclass(kind, (str, *KEYS)))


def _named(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, cls: Any) -> Any:
        if is_enum(cls):  # also an enum that is a number or text: cattrs would treat it as such
            return read_enum(value, cls)
        if type(value) is not kind:  # for isinstance, a bool is an int; here it is not
            problem = f"expected {kind.__name__}, found {type(value).__name__}"
            raise TypeError(problem)
        return value

    return structure


def _float(value: Any, cls: Any) -> Any:
    # type checkers accept 3 for a float: such a record must stay readable
    is_whole = type(value) is int and not is_enum(cls)
    return float(value) if is_whole else _exactly(float)(value, cls)


def _has_int_keys(cls: Any) -> bool:
    args = get_args(cls)
    is_plain = get_origin(cls) in (dict, Mapping, MutableMapping)
    return is_plain and getattr(args[0], "__supertype__", args[0]) is int


def _structure_with_int_keys(cls: Any) -> Callable[[Any, Any], Any]:
    structure = _converter.get_structure_hook(dict[str, get_args(cls)[1]])  # type: ignore[misc]

    def with_int_keys(value: Any, _cls: Any) -> dict[int, Any]:
        found = structure(_exactly(dict)(value, dict), dict)
        return {int(key): item for key, item in found.items()}

    return with_int_keys


def _number_as_text(value: Any, cls: Any) -> PlatformChatId:
    # the platform's own tools write a JSON number, not a string
    return PlatformChatId(str(value) if type(value) is int else _exactly(str)(value, cls))


def _issued_number(value: Any, _cls: Any) -> IssuedNumber:
    text = str(value) if type(value) is int else _exactly(str)(value, str)
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER_DIGITS):
        problem = f"expected a number of up to {MAX_NUMBER_DIGITS} digits, found {text!r}"
        raise ValueError(problem)
    return IssuedNumber(int(text))


def _keeps_extra(cls: Any) -> bool:
    """Return whether ``cls`` is a record class of the bot itself that keeps unknown JSON fields.

    Such a class has a field ``extra`` of type ``dict[str, Any]``.
    """
    extra = fields_dict(cls).get("extra") if isinstance(cls, type) and has(cls) else None
    return extra is not None and extra.type == dict[str, Any]


def _structure_with_extra(cls: Any) -> Callable[[Any, Any], Any]:
    known = {attribute.name for attribute in fields(cls)} - {"extra"}
    structure = make_dict_structure_fn(cls, _converter)

    def with_extra(value: Any, target: Any) -> Any:
        stored = _exactly(dict)(value, target)
        given = {name: item for name, item in stored.items() if name in known}
        given["extra"] = {name: item for name, item in stored.items() if name not in known}
        return structure(given, target)

    return with_extra


def _unstructure_with_extra(cls: Any) -> Callable[[Any], dict[str, Any]]:
    unstructure = make_dict_unstructure_fn(
        cls,
        _converter,
        extra=override(omit=True),
        deadline=override(omit_if_default=True),  # most have none
        origin=override(omit_if_default=True),
    )

    def with_extra(record: Any) -> dict[str, Any]:
        known = unstructure(record)
        return known | {k: v for k, v in record.extra.items() if k not in known}

    return with_extra


def new_converter() -> OrjsonConverter:
    """A converter that is strict about types; callers may register hooks of their own."""
    converter = make_converter()
    register_scalars(converter)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _float)
    converter.register_structure_hook_factory(_has_int_keys, _structure_with_int_keys)
    converter.register_structure_hook(PlatformChatId, _number_as_text)
    converter.register_structure_hook(IssuedNumber, _issued_number)
    converter.register_unstructure_hook(IssuedNumber, lambda issued: issued.number)
    converter.register_structure_hook_factory(_keeps_extra, _structure_with_extra)
    converter.register_unstructure_hook_factory(_keeps_extra, _unstructure_with_extra)
    return converter


_converter = new_converter()
