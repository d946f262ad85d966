"""What one sync response brings: events that want handling, and gaps that want filling."""

from typing import Any

from attrs import field, frozen

from fsm.ids import EventId, RoomId, SyncToken, UserId
from fsm.inbound import Inbound
from matrix.parse import events, is_own_invite, is_own_join, mapping

Json = dict[str, Any]


@frozen
class Event:
    """An event, in its place in the room."""

    inbound: Inbound


@frozen(kw_only=True)
class Gap:
    """A stretch of a room's timeline that the response leaves out.

    Args:
        room_id: The room.
        start: The token from which history is read forward, or None where the bot came into the
            room in this stretch: then it is read back until its invite.
        end: The token at which it ends, exclusive; None if nothing is left out before ``tail``.
        tail: Events after ``end`` that came in the response and belong to the stretch, since
            whether they are answered depends on what is in it.
        join: The bot's join, where it is known.
    """

    room_id: RoomId
    start: str | None
    end: str | None
    tail: tuple[Json, ...] = field(default=(), repr=False)
    join: EventId | None = None


RoomItem = Event | Gap


@frozen
class Batch:
    """What one sync response brings.

    Args:
        since: The token that was asked from; None for the first sync ever.
        next: The token to ask from next. It may be stored once all items are handled.
        items: Each room's in the room's order.
    """

    since: SyncToken | None
    next: SyncToken
    items: tuple[RoomItem, ...]


@frozen
class Slice:
    """One room's part of a response: a gap, if there is one, and the events after it."""

    gap: Gap | None
    events: tuple[Json, ...]


def slice_timeline(room_id: RoomId, room: Json, *, since: SyncToken, bot: UserId) -> Slice:
    """What of a joined room's part of a sync response is to be handled."""
    timeline = mapping(room.get("timeline"))
    arrived = tuple(events(timeline.get("events")))
    join = _own_join(room, arrived, bot)
    token = timeline.get("prev_batch")
    end = token if isinstance(token, str) and timeline.get("limited") is True else None
    if join is None:
        gap = Gap(room_id=room_id, start=since, end=end) if end is not None else None
        return Slice(gap, arrived)
    return _slice_of_joined(room_id, arrived, join, end=end, bot=bot)


def after_invite(timeline: tuple[Json, ...], bot: UserId) -> tuple[Json, ...] | None:
    """The events after the bot's latest invite, or None if it is not among them."""
    for index in range(len(timeline) - 1, -1, -1):
        if is_own_invite(timeline[index], bot):
            return timeline[index + 1 :]
    return None


def _slice_of_joined(
    room_id: RoomId, arrived: tuple[Json, ...], join: Json, *, end: str | None, bot: UserId
) -> Slice:
    """Of a room that the bot has just joined: what was written since its invite."""
    since_invite = after_invite(arrived, bot)
    if since_invite is not None:
        return Slice(None, since_invite)
    joined_at = next((i for i, event in enumerate(arrived) if event is join), None)
    if end is None or (joined_at is not None and _came_uninvited(join)):
        return Slice(None, arrived[joined_at or 0 :])
    split = len(arrived) if joined_at is None else joined_at
    gap = Gap(
        room_id=room_id,
        start=None,
        end=end,
        tail=arrived[:split],
        join=_event_id(join),
    )
    return Slice(gap, arrived[split:])


def _own_join(room: Json, arrived: tuple[Json, ...], bot: UserId) -> Json | None:
    """The bot's latest coming into the room, if the response tells of one."""
    state = events(mapping(room.get("state")).get("events"))
    found = [event for event in (*state, *arrived) if is_own_join(event, bot)]
    return found[-1] if found else None


def _came_uninvited(join: Json) -> bool:
    previous = mapping(mapping(join.get("unsigned")).get("prev_content"))
    return previous.get("membership") != "invite"


def _event_id(event: Json) -> EventId | None:
    event_id = event.get("event_id")
    return EventId(event_id) if isinstance(event_id, str) else None
