"""Converts values of standard library types, such as ``datetime``, to JSON and back unchanged."""

from collections.abc import Callable, Mapping, MutableMapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, get_args, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from cattrs import Converter

MICROSECOND = timedelta(microseconds=1)

KEYS = (bytes, date, datetime, time, Decimal, UUID, ZoneInfo, Enum)
"""The types that keys of a mapping can have, in addition to str and int."""


def register_scalars(converter: Converter) -> None:
    """Register hooks for the types of this module with ``converter``."""
    for kind, write, read in (
        (UUID, str, UUID),
        (Decimal, str, Decimal),
        (date, date.isoformat, date.fromisoformat),
        (datetime, _written_datetime, _read_datetime),
        (time, time.isoformat, time.fromisoformat),
        (ZoneInfo, _written_zone, ZoneInfo),
    ):
        converter.register_unstructure_hook(kind, write)
        converter.register_structure_hook(kind, _of_text(read))
    converter.register_unstructure_hook(timedelta, lambda span: span // MICROSECOND)
    converter.register_structure_hook(timedelta, _read_timedelta)
    converter.register_unstructure_hook_factory(is_enum, _enum_writer)
    converter.register_structure_hook_factory(is_enum, lambda _: read_enum)
    converter.register_unstructure_hook_factory(
        _has_enum_keys, lambda cls: _mapping_writer(converter, cls)
    )
    converter.register_structure_hook_factory(
        _has_enum_keys, lambda cls: _mapping_reader(converter, cls)
    )


def _of_text(read: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _cls: Any) -> Any:
        if type(value) is not str:
            problem = f"expected str, found {type(value).__name__}"
            raise TypeError(problem)
        try:
            return read(value)
        except ArithmeticError as error:  # Decimal's own
            problem = f"{value!r} is no number"
            raise ValueError(problem) from error

    return structure


def _written_datetime(moment: datetime) -> str:
    """Return the time as ISO 8601, followed by the name of its time zone, if any (RFC 9557)."""
    zone = moment.tzinfo
    named = f"[{zone.key}]" if isinstance(zone, ZoneInfo) and zone.key else ""
    return moment.isoformat() + named


def _read_datetime(text: str) -> datetime:
    moment, _, zone = text.removesuffix("]").partition("[")
    read = datetime.fromisoformat(moment)
    return read.astimezone(ZoneInfo(zone)) if zone else read


def _written_zone(zone: ZoneInfo) -> str:
    if not zone.key:
        problem = f"{zone!r} has no name"
        raise ValueError(problem)
    return zone.key


def _read_timedelta(value: Any, _cls: Any) -> timedelta:
    if type(value) is not int:
        problem = f"expected a whole number of microseconds, found {value!r}"
        raise TypeError(problem)
    return value * MICROSECOND


def is_enum(cls: Any) -> bool:
    """Return whether ``cls`` is an enum class."""
    return isinstance(cls, type) and issubclass(cls, Enum)


def _is_by_value(cls: type[Enum]) -> bool:
    """Return whether the members of the enum are written as their values, not as their names.

    They are if JSON can express all values.
    """
    return all(isinstance(member.value, str | int | float) for member in cls)


def _enum_writer(cls: type[Enum]) -> Callable[[Enum], Any]:
    if _is_by_value(cls):
        return lambda member: member.value
    return lambda member: member.name


def read_enum(value: Any, cls: type[Enum]) -> Enum:
    """Return the member of ``cls`` that was written as ``value``.

    Earlier versions wrote the members of every enum as their values. So a value is accepted too for
    an enum whose members are written as names.

    Raises:
        ValueError: There is no member with this name or value.
        TypeError: ``value`` is a bool, and the member's value is a number.
    """
    if not _is_by_value(cls) and isinstance(value, str) and value in cls.__members__:
        return cls[value]
    found = cls(value)
    if isinstance(value, bool) and not isinstance(found.value, bool):
        problem = f"expected {cls.__name__}, found {value!r}"
        raise TypeError(problem)
    return found


def _has_enum_keys(cls: Any) -> bool:
    args = get_args(cls)
    return get_origin(cls) in (dict, Mapping, MutableMapping) and is_enum(args[0])


def _mapping_writer(converter: Converter, cls: Any) -> Callable[[Any], dict[str, Any]]:
    key_type, item_type = get_args(cls)
    write_key = _enum_writer(key_type)
    write = converter.get_unstructure_hook(item_type)

    def unstructure(mapping: Any) -> dict[str, Any]:
        return {_key_text(write_key(key)): write(item) for key, item in mapping.items()}

    return unstructure


def _mapping_reader(converter: Converter, cls: Any) -> Callable[[Any, Any], Any]:
    key_type, item_type = get_args(cls)
    structure = converter.get_structure_hook(dict[str, item_type])  # type: ignore[valid-type]
    is_text = not _is_by_value(key_type) or all(isinstance(m.value, str) for m in key_type)

    def read(value: Any, _cls: Any) -> dict[Enum, Any]:
        found = structure(value, dict)
        return {
            read_enum(key if is_text else orjson.loads(key), key_type): item
            for key, item in found.items()
        }

    return read


def _key_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
