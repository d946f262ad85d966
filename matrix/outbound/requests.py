"""The request of each kind of outbox row."""

import asyncio
from collections.abc import Callable
from typing import Any

from fsm.failpoints import reach
from fsm.outbox import (
    EditRow,
    InviteRow,
    JoinRow,
    LeaveRow,
    OutboxRow,
    SendRow,
    StateRow,
)
from fsm.values.bounded import BoundedDict
from fsm.values.ids import EventId, RoomId, TransactionId, UserId
from matrix.api import fields
from matrix.api.content import TURN_KEY
from matrix.api.errors import RateLimited, Refused
from matrix.api.homeserver import Homeserver
from matrix.outbound.messages import MESSAGE, REACTION

MAX_SENT_IDS = 1_000
"""Maximum number of sent messages whose event ids are kept by transaction id, for later edits.
Older ones are searched for in their room."""


MAX_BOT_LIMIT_MS = 30_000
"""Longest wait that counts as a limit on the bot's own invites; a longer one is a limit of the
invited user's."""


class RowRequests:
    """Makes the request of a single row. Each can be retried until it works.

    Invites are sent one at a time, and none while they are rate limited: in Synapse, a refused
    invite counts against the limit of the invited user, which is five and then one in five minutes.
    """

    def __init__(self, homeserver: Homeserver, monotonic: Callable[[], float]) -> None:
        self._homeserver = homeserver
        self._monotonic = monotonic
        self._inviting = asyncio.Lock()
        self._no_invites_until = 0.0
        self._sent = BoundedDict[TransactionId, EventId](MAX_SENT_IDS)

    async def attempt(self, row: OutboxRow, *, look_first: bool) -> EventId | None:
        """Make the row's request; the event that it became, if any.

        Args:
            row: The row.
            look_first: Search the room for the event of an earlier attempt first: the homeserver
                may have dropped its transaction id.

        Raises:
            MatrixError: It failed; ``is_permanent`` says whether a retry may help.
            TypeError: Rows of this kind are not carried out here.
        """
        match row:
            case SendRow():
                return await self._send(row, look_first=look_first)
            case EditRow():
                return await self._edit(row)
            case StateRow():
                return await self._set_state(row)
            case InviteRow():
                await self._invite(row)
            case JoinRow():
                await self._join(row)
            case LeaveRow():
                await self._leave(row)
            case _:
                problem = f"{row.kind!r} is no request to one room"
                raise TypeError(problem)
        return None

    def note(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Store the event id of a row, for later edits of it."""
        if isinstance(row, SendRow) and event_id is not None:
            self._sent[row.transaction_id] = event_id

    async def _send(self, row: SendRow, *, look_first: bool) -> EventId | None:
        if look_first:
            found = await find_sent_event(self._homeserver, row.room_id, row.transaction_id)
            if found is not None:
                return found
        reach("delivery.send.before")
        try:
            event_id = await self._homeserver.send(
                row.room_id, row.event_type, row.content, row.transaction_id
            )
        except Refused as refused:
            if row.event_type != REACTION or refused.errcode != "M_DUPLICATE_ANNOTATION":
                raise
            return None  # the reaction exists already
        reach("delivery.send.after")
        return event_id

    async def _edit(self, row: EditRow) -> EventId | None:
        """Edit the message of another row. If it is gone, the edit is dropped."""
        edited = row.edits or self._sent.get(row.sent_as)
        if edited is None:
            edited = await find_sent_event(self._homeserver, row.room_id, row.sent_as)
        if edited is None:
            return None
        relation = {"rel_type": "m.replace", "event_id": edited}
        content = row.content | {"m.relates_to": relation}
        reach("delivery.edit.before")
        event_id = await self._homeserver.send(row.room_id, MESSAGE, content, row.transaction_id)
        reach("delivery.edit.after")
        return event_id

    async def _set_state(self, row: StateRow) -> EventId:
        reach("delivery.state.before")
        event_id = await self._homeserver.rooms.set_state(
            row.room_id, row.event_type, row.state_key, row.content
        )
        reach("delivery.state.after")
        return event_id

    async def _invite(self, row: InviteRow) -> None:
        async with self._inviting:
            await asyncio.sleep(max(0.0, self._no_invites_until - self._monotonic()))
            try:
                reach("delivery.invite.before")
                await self._homeserver.rooms.invite(row.room_id, row.user_id)
                reach("delivery.invite.after")
            except RateLimited as limited:
                # a longer wait is the invited user's limit: other invites go on
                if limited.retry_after_ms <= MAX_BOT_LIMIT_MS:
                    self._no_invites_until = self._monotonic() + limited.retry_after_ms / 1000
                raise

    async def _join(self, row: JoinRow) -> None:
        reach("delivery.join.before")
        await self._homeserver.join(row.room_id)
        reach("delivery.join.after")

    async def _leave(self, row: LeaveRow) -> None:
        reach("delivery.leave.before")
        await self._homeserver.leave(row.room_id)
        reach("delivery.leave.after")


MAX_SEARCH_PAGES = 5
"""Maximum pages of 100 events that are searched, from the newest on."""


async def find_sent_event(
    homeserver: Homeserver, room_id: RoomId, transaction_id: TransactionId
) -> EventId | None:
    """The event that was sent with this transaction id before, if it is in the room.

    Homeservers drop transaction ids (Synapse after 24 hours, or with the device). Therefore every
    event of the bot's has its transaction id in its content.
    """
    token: str | None = None
    for _ in range(MAX_SEARCH_PAGES):
        try:
            page = await homeserver.page(room_id, direction="b", start=token)
        except Refused:
            return None
        for raw in page.events:
            event_id = fields.event_id(raw, "event_id")
            if event_id is not None and is_ours(raw, transaction_id, homeserver.user_id):
                return event_id
        if page.end is None or page.end == token:
            return None
        token = page.end
    return None


def is_ours(raw: dict[str, Any], transaction_id: TransactionId, bot: UserId) -> bool:
    """Whether the bot sent the event with this transaction id."""
    marked = fields.text(fields.fields(raw, "content"), TURN_KEY)
    known = fields.text(fields.fields(raw, "unsigned"), "transaction_id")
    return fields.user_id(raw, "sender") == bot and transaction_id in (marked, known)
