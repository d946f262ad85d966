"""What one sync response brings: events that want handling, and gaps that want filling."""

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
    """An event, in its place in the room."""

    inbound: Inbound

    @property
    def room_id(self) -> RoomId:
        """The room."""
        return self.inbound.room_id


@frozen(kw_only=True)
class TimelineGap:
    """A stretch of a room's timeline that the response leaves out.

    Args:
        room_id: The room.
        since: The sync token that was asked from: the stretch is after it.
        is_entered: The bot came into the room in this stretch: what is to be handled begins at
            its invite, or where it joined uninvited.
        end: The token at which it ends, exclusive.
        tail: Events after ``end`` that came in the response and belong to the stretch, since
            whether they are answered depends on what is in it.
        join_follows: The bot's join comes right after the tail: without an invite, nothing in the
            stretch is to be handled.
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
    """What one sync response brings.

    Args:
        since: The token that was asked from; None for the first sync ever.
        next: The token to ask from next. It may be stored once all items are handled.
        items: Each room's in the room's order.
        memberships: The rooms that the bot joined (True) or left (False).
        fixed: The rooms whose items can't be read again from ``since``: those that the bot left or
            was invited to.
        entered: The rooms of which nothing is to be handled that lies before the bot's invite.
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
    """Whether the bot is in a room, or invited to it, from event to event.

    What is said there while it is not is said to others, though it may read it once it is back.
    """

    bot: UserId
    is_in: bool = True

    def is_member_at(self, event: Json) -> bool:
        """Whether the event, the next in the room, happens while the bot is there."""
        if _changes_membership(event, self.bot):
            self.is_in = not is_own_departure(event, self.bot)
        return self.is_in


def _changes_membership(event: Json, bot: UserId) -> bool:
    return any(moved(event, bot) for moved in (is_own_invite, is_own_join, is_own_departure))


def slice_timeline(
    room_id: RoomId, room: Json, *, since: SyncToken, bot: UserId, join: Json | None
) -> Slice:
    """What of a joined room's part of a sync response is to be handled.

    Args:
        room_id: The room.
        room: Its part of the response.
        since: The token that was asked from.
        bot: The bot's own user id.
        join: The bot's coming into the room, if it was not in it at ``since``.
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
    """Whether the bot left in what was left out before these events, and came again in them.

    A join that does not say what was before it may be a mere change of its name.
    """
    first = next((event for event in arrived if _changes_membership(event, bot)), {})
    if is_own_join(first, bot):
        return previous_membership(first) is not None
    return is_own_invite(first, bot)


def join_in_timeline(room: Json, bot: UserId) -> Json | None:
    """The bot's latest coming into the room, if it happened in the response's timeline."""
    return _last_join(fields.objects(room, "timeline", "events"), bot)


def join_in_state(room: Json, bot: UserId) -> Json | None:
    """The bot's join, if the response's state has it.

    That it is there does not mean that it is news: with lazily loaded members a homeserver repeats
    it whenever the bot has spoken and the homeserver does not remember having told this device.
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
    """Of a room that the bot has just joined: what was written since its invite."""
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
