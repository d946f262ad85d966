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
    """An event in a sync response that is to be handled."""

    inbound: Inbound

    @property
    def room_id(self) -> RoomId:
        """The room of the event."""
        return self.inbound.room_id


@frozen(kw_only=True)
class TimelineGap:
    """A part of a room's timeline that a limited sync response omits.

    Args:
        room_id: The room.
        since: The token of the sync request. The gap starts there.
        end: The token at which the gap ends (``prev_batch`` of the response).
        is_entered: Whether the bot joined the room after ``since``. If so, the events to handle
            start at the bot's invite, or at its join if it was not invited.
        tail: The first events after ``end``, if only the gap shows whether to handle them. That
            depends on whether the bot's invite is in the gap.
        join_follows: Whether the bot's join is the next event after ``tail``. If so, and if there
            is no invite in the gap, no event of the gap and of ``tail`` is handled.
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
        items: The events and gaps to handle. Those of one room are in the room's order.
        memberships: The rooms that the bot joined (True) or left (False). For the first sync ever,
            all rooms in which the bot is.
        fixed: The rooms whose items can't be read again from ``since``, because the bot was
            invited, has left, or has left and joined again.
        entered: The rooms that the bot joined, without having been a member at ``since``. Their
            events before the bot's invite are not to be handled.
    """

    since: SyncToken | None
    next: SyncToken
    items: tuple[RoomItem, ...]
    memberships: Mapping[RoomId, bool] = field(factory=dict)
    fixed: frozenset[RoomId] = frozenset()
    entered: frozenset[RoomId] = frozenset()


@frozen
class Slice:
    """The timeline of one room in a sync response: a gap, if there is one, and the events after it.

    Args:
        gap: The omitted part of the timeline; None if nothing is omitted.
        events: The events after the gap, as JSON.
    """

    gap: TimelineGap | None
    events: tuple[Json, ...]


@define
class MembershipTracker:
    """Tracks, from event to event, whether the bot is in a room or invited to it.

    Events from a time when the bot is neither are not handled, although the bot may be able to read
    them later.

    Args:
        bot: The bot's user id.
        is_in: Whether the bot is in the room or invited: at first before the room's first event,
            then at the latest event.
    """

    bot: UserId
    is_in: bool = True

    def follow(self, event: Json) -> bool:
        """Follow the bot's membership to this event; return whether it is in the room or invited.

        Call it for the room's events one after the other, in order.
        """
        if _changes_membership(event, self.bot):
            self.is_in = not is_own_departure(event, self.bot)
        return self.is_in


def _changes_membership(event: Json, bot: UserId) -> bool:
    return any(moved(event, bot) for moved in (is_own_invite, is_own_join, is_own_departure))


def slice_timeline(
    room_id: RoomId, room: Json, *, since: SyncToken, bot: UserId, join: Json | None
) -> Slice:
    """Return the gap and the events to handle in a joined room's part of a sync response.

    Args:
        room_id: The room.
        room: The room's part of the response.
        since: The token of the request.
        bot: The bot's own user id.
        join: The event of the bot's join, if the bot was not a member at ``since``; else None.
    """
    timeline = fields.fields(room, "timeline")
    arrived = tuple(fields.objects(timeline, "events"))
    end = fields.text(timeline, "prev_batch") if fields.flag(timeline, "limited") else None
    if join is None:
        gap = TimelineGap(room_id=room_id, since=since, end=end) if end is not None else None
        presence = MembershipTracker(bot, is_in=gap is None or not _begins_outside(arrived, bot))
        return Slice(gap, tuple(filter(presence.follow, arrived)))
    return _slice_of_joined(room_id, arrived, join, since=since, end=end, bot=bot)


def _begins_outside(arrived: tuple[Json, ...], bot: UserId) -> bool:
    """Return whether the bot was not in the room when these events of a limited timeline begin.

    It was not if the first event here that changes the bot's membership is an invite, or a join
    that follows another membership. A join without ``prev_content`` does not count: it may be a
    change of the bot's display name.
    """
    first = next((event for event in arrived if _changes_membership(event, bot)), {})
    if is_own_join(first, bot):
        return previous_membership(first) is not None
    return is_own_invite(first, bot)


def join_in_timeline(room: Json, bot: UserId) -> Json | None:
    """Return the latest ``m.room.member`` event in the room's timeline by which the bot joined.

    Return None if there is none. ``room`` is the room's part of a sync response.
    """
    return _last_join(fields.objects(room, "timeline", "events"), bot)


def join_in_state(room: Json, bot: UserId) -> Json | None:
    """Return the latest ``m.room.member`` event in the room's state by which the bot joined.

    Return None if there is none. ``room`` is the room's part of a sync response.

    The join may be an old one. With lazily loaded members, the homeserver adds the membership event
    of each sender to the state. If the bot sent an event, it may add the bot's own join again.
    """
    return _last_join(fields.objects(room, "state", "events"), bot)


def after_invite(timeline: tuple[Json, ...], bot: UserId) -> tuple[Json, ...] | None:
    """Return the events after the bot's latest invite; None if there is no invite among them."""
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
    """Return the gap and the events to handle, for a room that the bot has joined since ``since``.

    The events to handle start after the bot's invite, or at its join if it was not invited. There
    is a gap only if the events of the response don't show where that is.
    """
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
    """Return whether the bot joined without an invite.

    True also if the join does not contain the previous membership.
    """
    previous = fields.fields(join, "unsigned", "prev_content")
    return fields.text(previous, "membership") != "invite"


def _last_join(events: list[Json], bot: UserId) -> Json | None:
    return next((event for event in reversed(events) if is_own_join(event, bot)), None)
