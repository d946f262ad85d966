"""The contents of one sync response: events to handle, and gaps to read."""

from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from fsm.values.ids import RoomId, SyncToken, UserId
from fsm.values.inbound import Inbound
from matrix.api import fields
from matrix.inbound.parse import is_own_departure, is_own_invite, is_own_join, previous_membership

Json = dict[str, Any]


@frozen
class SyncEvent:
    """An event, in the room's order."""

    inbound: Inbound

    @property
    def room_id(self) -> RoomId:
        """The room."""
        return self.inbound.room_id


@frozen(kw_only=True)
class TimelineGap:
    """A part of a room's timeline that the response omits.

    Args:
        room_id: The room.
        since: The sync token of the request; the gap starts there.
        is_entered: The bot joined the room in this gap: the events to handle start at its invite,
            or at its join if it was not invited.
        end: The token where it ends, exclusive.
        tail: Events after ``end`` in the response that belong to the gap: whether they are handled
            depends on what is in it.
        join_follows: The bot's join is right after the tail: without an invite, no event of the gap
            is to be handled.
    """

    room_id: RoomId
    since: SyncToken
    end: str
    is_entered: bool = False
    tail: tuple[Json, ...] = field(default=(), repr=False)
    join_follows: bool = False


RoomItem = SyncEvent | TimelineGap


@frozen
class SyncBatch:
    """The contents of one sync response.

    Args:
        since: The token of the request; None for the first sync ever.
        next: The token of the next request. It may be stored once all items are handled.
        items: Each room's in the room's order.
        memberships: The rooms that the bot joined (True) or left (False).
        fixed: The rooms whose items can't be read again from ``since``: those that the bot left or
            was invited to.
        entered: The rooms whose events before the bot's invite are not to be handled.
    """

    since: SyncToken | None
    next: SyncToken
    items: tuple[RoomItem, ...]
    memberships: Mapping[RoomId, bool] = field(factory=dict)
    fixed: frozenset[RoomId] = frozenset()
    entered: frozenset[RoomId] = frozenset()


@frozen
class Slice:
    """One room's part of a response: a gap, if there is one, and the events after it."""

    gap: TimelineGap | None
    events: tuple[Json, ...]


@define
class MembershipTracker:
    """Follows whether the bot is a member of a room, or invited, from event to event.

    Events from while it is neither are not for the bot, though it can read them later.
    """

    bot: UserId
    is_in: bool = True

    def is_member_at(self, event: Json) -> bool:
        """Whether the bot is a member at the event, which is the room's next."""
        if _changes_membership(event, self.bot):
            self.is_in = not is_own_departure(event, self.bot)
        return self.is_in


def _changes_membership(event: Json, bot: UserId) -> bool:
    return any(moved(event, bot) for moved in (is_own_invite, is_own_join, is_own_departure))


def slice_timeline(
    room_id: RoomId, room: Json, *, since: SyncToken, bot: UserId, join: Json | None
) -> Slice:
    """The events to handle of a joined room's part of a sync response.

    Args:
        room_id: The room.
        room: Its part of the response.
        since: The token of the request.
        bot: The bot's own user id.
        join: The bot's join, if it was not a member at ``since``.
    """
    timeline = fields.fields(room, "timeline")
    arrived = tuple(fields.objects(timeline, "events"))
    end = fields.text(timeline, "prev_batch") if fields.flag(timeline, "limited") else None
    if join is None:
        gap = TimelineGap(room_id=room_id, since=since, end=end) if end is not None else None
        presence = MembershipTracker(bot, is_in=gap is None or not _begins_outside(arrived, bot))
        return Slice(gap, tuple(filter(presence.is_member_at, arrived)))
    return _slice_of_joined(room_id, arrived, join, since=since, end=end, bot=bot)


def _begins_outside(arrived: tuple[Json, ...], bot: UserId) -> bool:
    """Whether the bot was out of the room when these events of a limited timeline begin.

    That is so if its first change of membership here is an invite, or a join after another
    membership. A join without ``prev_content`` does not count: it may be a change of the bot's
    display name.
    """
    first = next((event for event in arrived if _changes_membership(event, bot)), {})
    if is_own_join(first, bot):
        return previous_membership(first) is not None
    return is_own_invite(first, bot)


def join_in_timeline(room: Json, bot: UserId) -> Json | None:
    """The bot's latest join in the response's timeline."""
    return _last_join(fields.objects(room, "timeline", "events"), bot)


def join_in_state(room: Json, bot: UserId) -> Json | None:
    """The bot's join in the response's state, which may be an old one.

    With lazily loaded members, the homeserver adds the membership of each sender. If the bot sent
    an event, its own join may be added again.
    """
    return _last_join(fields.objects(room, "state", "events"), bot)


def after_invite(timeline: tuple[Json, ...], bot: UserId) -> tuple[Json, ...] | None:
    """The events after the bot's latest invite, or None if it is not among them."""
    for index in range(len(timeline) - 1, -1, -1):
        if is_own_invite(timeline[index], bot):
            return timeline[index + 1 :]
    return None


def _slice_of_joined(  # noqa: PLR0913  # what ``slice_timeline`` has found out
    room_id: RoomId,
    arrived: tuple[Json, ...],
    join: Json,
    *,
    since: SyncToken,
    end: str | None,
    bot: UserId,
) -> Slice:
    """The events since the bot's invite, of a room that it has just joined."""
    since_invite = after_invite(arrived, bot)
    if since_invite is not None:
        return Slice(None, since_invite)
    joined_at = next((i for i, event in enumerate(arrived) if event is join), None)
    if end is None or (joined_at is not None and joined_uninvited(join)):
        return Slice(None, arrived[joined_at or 0 :])
    split = len(arrived) if joined_at is None else joined_at
    gap = TimelineGap(
        room_id=room_id,
        since=since,
        end=end,
        is_entered=True,
        tail=arrived[:split],
        join_follows=joined_at is not None,
    )
    return Slice(gap, arrived[split:])


def joined_uninvited(join: Json) -> bool:
    """Whether there was no invite before the bot's join."""
    previous = fields.fields(join, "unsigned", "prev_content")
    return fields.text(previous, "membership") != "invite"


def _last_join(events: list[Json], bot: UserId) -> Json | None:
    return next((event for event in reversed(events) if is_own_join(event, bot)), None)
