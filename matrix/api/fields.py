"""Reads typed values from untrusted JSON. Pure and total.

Nothing here raises, whatever the JSON is. A value of another type than requested counts as absent.
Code of ``matrix/`` that needs a value of a certain type from an event reads it with these
functions.
"""

import json
import re
from typing import Any

from fsm.values.ids import EventId, RoomId, UserId

Json = dict[str, Any]

MAX_ID_BYTES = 255
"""Maximum bytes of an id (client-server API, "Common Identifier Format")."""

MAX_INTEGER = 2**53 - 1
"""Maximum absolute value of a number (appendices, "Canonical JSON")."""

MAX_DEPTH = 100
"""Maximum nesting depth of JSON; deeper values become ``null``."""

# Without control characters, and without what can't be encoded as UTF-8.
_CHARACTER = r"[^\x00-\x1f\x7f\ud800-\udfff]"
_EVENT = re.compile(rf"\${_CHARACTER}+")
_ROOM = re.compile(rf"!{_CHARACTER}+")
_USER = re.compile(rf"@{_CHARACTER}*:{_CHARACTER}+")

_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def event_id(raw: Json, key: str) -> EventId | None:
    """Return the event id under ``key``; None if it is missing or not valid."""
    found = _id(raw.get(key), _EVENT)
    return None if found is None else EventId(found)


def user_id(raw: Json, key: str) -> UserId | None:
    """Return the user id under ``key``; None if it is missing or not valid."""
    found = _id(raw.get(key), _USER)
    return None if found is None else UserId(found)


def room_id(raw: Json, key: str) -> RoomId | None:
    """Return the room id under ``key``; None if it is missing or not valid."""
    found = _id(raw.get(key), _ROOM)
    return None if found is None else RoomId(found)


def is_room_id(value: object) -> bool:
    """Return whether ``value`` is a valid room id."""
    return _id(value, _ROOM) is not None


def text(raw: Json, key: str, *, max_chars: int | None = None) -> str | None:
    """Return the string under ``key``, cut to ``max_chars``; None if there is no string."""
    value = raw.get(key)
    return clean(value[:max_chars]) if isinstance(value, str) else None


def number(raw: Json, key: str) -> int:
    """Return the integer under ``key``; 0 if it is missing, negative or too large."""
    return integer(raw.get(key))


def fields(raw: Json, *path: str) -> Json:
    """Return the JSON object at the end of ``path``, or an empty one if there is none.

    Args:
        raw: The JSON object to start from.
        path: The keys to follow through nested objects.
    """
    for key in path:
        raw = mapping(raw.get(key))
    return raw


def flag(raw: Json, key: str) -> bool:
    """Return whether the value under ``key`` is the JSON value ``true``."""
    return raw.get(key) is True


def objects(raw: Json, *path: str) -> list[Json]:
    """Return the JSON objects in the array at the end of ``path``; other items are left out.

    The list is empty if there is no such array.
    """
    *parents, key = path
    return events(fields(raw, *parents).get(key))


def rooms(sync: Json, part: str) -> list[tuple[RoomId, Json]]:
    """Return the id and the JSON of each room in one part of a sync response.

    Args:
        sync: The sync response.
        part: ``join``, ``invite`` or ``leave``.
    """
    found = fields(sync, "rooms", part).items()
    return [(RoomId(key), mapping(room)) for key, room in found if is_room_id(key)]


def clean(text: str) -> str:
    """Return the text with each lone surrogate, which UTF-8 can't encode, replaced by ``?``."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def mapping(value: object) -> Json:
    """``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def events(value: object) -> list[Json]:
    """Return the JSON objects in ``value`` if it is an array, else an empty list."""
    return [e for e in value if isinstance(e, dict)] if isinstance(value, list) else []


def integer(value: object) -> int:
    """``value`` if it is an integer from 0 to ``MAX_INTEGER``, else 0."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 <= value <= MAX_INTEGER else 0


def plain(value: object, *, depth: int = MAX_DEPTH) -> Any:
    """Return a copy of ``value`` that can be stored, and written as JSON again.

    In the copy, lone surrogates are question marks. A number beyond ``MAX_INTEGER``, a value that
    JSON does not have, and an array or object nested deeper than ``depth`` are None.
    """
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict | list) and depth == 0:
        return None
    if isinstance(value, dict):
        return {clean(str(k)): plain(v, depth=depth - 1) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(each, depth=depth - 1) for each in value]
    return value if isinstance(value, int | float) and abs(value) <= MAX_INTEGER else None


def decoded(body: bytes) -> Json | None:
    """Return the JSON object that is encoded in ``body``; None if ``body`` is no JSON object.

    Invalid and too large numbers, and values that are nested too deep, become ``null``. Otherwise
    one such value would make a whole sync response unreadable.
    """
    try:
        answer = _loads(body)
    except RecursionError:
        answer = _loads_flattened(body)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    has_escapes = b"\\ud" in body or b"\\uD" in body
    return plain(answer) if has_escapes else answer


def _loads(body: bytes) -> object:
    return json.loads(body, parse_int=_whole, parse_float=_finite, parse_constant=_nothing)


def _loads_flattened(body: bytes) -> object:
    try:
        return _loads(_flattened(body))
    except (ValueError, RecursionError):
        return None


def _flattened(body: bytes) -> bytes:
    """Return the JSON with ``null`` in place of each value nested deeper than ``MAX_DEPTH``."""
    kept: list[bytes] = []
    depth = at = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += [body[at : token.start()], b"null"]
        elif token[0] in (b"]", b"}"):
            depth -= 1
            if depth == MAX_DEPTH:
                at = token.end()
    return b"".join([*kept, body[at:]])


def _whole(digits: str) -> int | None:
    value = int(digits) if len(digits) <= len(str(-MAX_INTEGER)) else None
    return value if value is not None and abs(value) <= MAX_INTEGER else None


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if abs(value) <= MAX_INTEGER else None


def _nothing(_: str) -> None:
    """Return None for ``NaN`` and the infinities, which are not JSON."""


def _id(value: object, form: re.Pattern[str]) -> str | None:
    if not isinstance(value, str) or len(value) > MAX_ID_BYTES or not form.fullmatch(value):
        return None
    return value if len(value.encode()) <= MAX_ID_BYTES else None
