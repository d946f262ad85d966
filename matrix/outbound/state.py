"""Content of the state events that the bot sends, and links to rooms. Pure."""

from typing import Any
from urllib.parse import quote

from fsm.values.ids import RoomId

MEMBER = "m.room.member"
ROOM_NAME = "m.room.name"
SPACE_CHILD = "m.space.child"

Json = dict[str, Any]


def room_name_content(name: str) -> Json:
    """The content of an ``m.room.name`` event."""
    return {"name": name}


def named_room(event_type: str, content: Json) -> str | None:
    """Return the room name that an ``m.room.name`` event sets; empty if it removes the name.

    Return None for an event of another type.
    """
    return str(content.get("name", "")) if event_type == ROOM_NAME else None


def space_child_content(room_id: RoomId, server: str) -> Json:
    """Return the content of an ``m.space.child`` event that adds the room to a Space.

    To remove the room from the Space, the content of the event must be empty instead.

    Args:
        room_id: The room.
        server: The name of the bot's homeserver.
    """
    return {"via": [_via(room_id, server)], "suggested": True}


def room_link(room_id: RoomId, server: str) -> str:
    """The room's matrix.to link (Matrix specification, "matrix.to navigation").

    Args:
        room_id: The room.
        server: The name of the bot's homeserver.
    """
    via = quote(_via(room_id, server), safe=":")
    return f"https://matrix.to/#/{quote(room_id, safe='!:')}?via={via}"


def _via(room_id: RoomId, server: str) -> str:
    """Return the name of a server that is in the room.

    That is the server in the room id. Room ids have none since room version 12; then it is
    ``server``, the bot's own.
    """
    return room_id.partition(":")[2] or server
