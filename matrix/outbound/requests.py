"""Makes the homeserver requests of outbox rows, one request for each kind of row."""

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
from matrix.api.content import TRANSACTION_ID_KEY
from matrix.api.errors import RateLimited, Refused
from matrix.api.homeserver import Homeserver
from matrix.outbound.messages import MESSAGE, REACTION

MAX_SENT_IDS = 1_000
"""Maximum number of sent messages whose event ids are kept by transaction id, for later edits.
Older ones are searched for in their room."""


MAX_BOT_LIMIT_MS = 30_000
"""If an invite is rate limited with a wait of at most this, the limit is taken as one on the bot's
invites. A longer wait is taken as a limit on invites to the invited user."""


class RowRequests:
    """Makes the homeserver request of a single row. Every request can be repeated safely.

    Only one invite is sent at a time, and none while the bot's invites are rate limited: in
    Synapse, a refused invite counts against the limit of the invited user, which allows five
    invites and then one in five minutes.
    """

    def __init__(self, homeserver: Homeserver, monotonic: Callable[[], float]) -> None:
        self._homeserver = homeserver
        self._monotonic = monotonic
        self._inviting = asyncio.Lock()
        self._no_invites_until = 0.0
        self._sent = BoundedDict[TransactionId, EventId](MAX_SENT_IDS)

    async def attempt(self, row: OutboxRow, *, look_first: bool) -> EventId | None:
        """Make the row's request, and return the id of the event that was created.

        Args:
            row: The row.
            look_first: Whether to search the room first for the event of an earlier attempt,
                because the homeserver may have dropped the row's transaction id.

        Returns:
            None if the request created no event: an invite, join or leave, a reaction that exists
            already, or an edit of a message that can't be found.

        Raises:
            MatrixError: The request failed; ``is_permanent`` says whether a retry may help.
            TypeError: The row is of a kind that this class does not handle.
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

    def remember_event_id(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Keep the event id of a message that a row sent, so that a later edit finds the message.

        Args:
            row: The row. Nothing is kept if it is no ``SendRow``.
            event_id: The message's event id. Nothing is kept if it is None.
        """
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
        """Edit a message that another row has sent, and return the event id of the edit.

        Returns:
            None if the message can't be found; the edit is then dropped.
        """
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
"""Maximum pages of 100 events that are searched for a sent event, from the newest on."""


async def find_sent_event(
    homeserver: Homeserver, room_id: RoomId, transaction_id: TransactionId
) -> EventId | None:
    """Return the event that the bot has sent to the room with this transaction id.

    Homeservers drop transaction ids: Synapse does so after 24 hours, or with the device. Therefore
    every message of the bot has its transaction id in its content.

    Returns:
        None if the event is not in the newest ``MAX_SEARCH_PAGES`` pages, or the room can't be
        read.
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
    marked = fields.text(fields.fields(raw, "content"), TRANSACTION_ID_KEY)
    known = fields.text(fields.fields(raw, "unsigned"), "transaction_id")
    return fields.user_id(raw, "sender") == bot and transaction_id in (marked, known)
