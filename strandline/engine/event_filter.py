"""Selects the events to handle, and completes them with data from the homeserver."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence

from attrs import evolve, frozen

from fsm import Command, EventKind, Flow, Inbound
from fsm.dispatch import said_in
from fsm.events import ANY
from fsm.values.bounded import BoundedDict
from fsm.values.ids import RoomId, UserId
from fsm.values.inbound import ReactionReceived, RoomUpgraded, UnsupportedMessage
from fsm.values.text import compared
from matrix import HomeserverReader
from strandline.engine.retrying_store import RetryingStore
from strandline.engine.room_claims import RoomClaims
from strandline.flows.builtin import FLOWS

MAX_REPLY_CHARS = 40
"""Maximum length of a reply to a question of the bot's own flows. To look up what a reply refers
to costs a request, which longer ones are spared."""

MAX_EXPLAINED = 1_000
"""Maximum number of pairs of a room and an unsupported kind of message that was explained there."""

RETRY = "retry"
"""The command that asks an agent once more; the question is read from the room."""

FOR_EVERYBODY = frozenset(
    {
        EventKind.REDACTED,
        EventKind.INVITED,
        EventKind.JOINED,
        EventKind.LEFT,
        EventKind.UPGRADED,
        EventKind.ROOM_CREATED,
        EventKind.ROOM_FAILED,
        EventKind.DONE,
        EventKind.REFUSED,
        EventKind.EXPIRED,
    }
)
"""Kinds that are handled whoever sent them: the bot's own, and those for which a flow decides. All
others are handled only for users who may talk to the bot."""

_SAID = {EventKind.TEXT, EventKind.FILE, EventKind.OTHER}
_OF_OTHERS = {EventKind.ENTERED, EventKind.DEPARTED}
_OF_ROOMS = {EventKind.JOINED, EventKind.LEFT, EventKind.UPGRADED}
_FIRST_IN_ROOM = {EventKind.TEXT, EventKind.FILE, EventKind.UNREADABLE, EventKind.JOINED}


@frozen(kw_only=True)
class Policy:
    """The events that some flow handles.

    Args:
        is_allowed: Whether a user may talk to the bot at all.
        reactions: The emoji that some flow handles, normalized.
        kinds: The kinds of event that some flow handles.
        max_reply_chars: The maximum length of a reply to a question of the bot; longer messages are
            texts.
        tells_groups: Whether flows need to know if a room has more than two members.
        prefix: What a command begins with.
    """

    is_allowed: Callable[[UserId], bool]
    reactions: frozenset[str] = frozenset()
    kinds: frozenset[EventKind] = frozenset()
    max_reply_chars: int = MAX_REPLY_CHARS
    tells_groups: bool = False
    prefix: str = "!"

    @classmethod
    def of(
        cls,
        flows: Sequence[Flow],
        *,
        is_allowed: Callable[[UserId], bool],
        tells_groups: bool,
        prefix: str = "!",
    ) -> "Policy":
        """The policy for these flows."""
        events = [event for flow in flows for event in flow.events.values()]
        theirs = [flow for flow in flows if type(flow) not in FLOWS]
        takes_any = any(ANY in event.reply for flow in theirs for event in flow.events.values())
        return cls(
            is_allowed=is_allowed,
            reactions=frozenset(compared(key) for event in events for key in event.reaction),
            kinds=frozenset(event.kind for event in events if event.kind is not None),
            max_reply_chars=sys.maxsize if takes_any else MAX_REPLY_CHARS,
            tells_groups=tells_groups,
            prefix=prefix,
        )


class EventFilter:
    """Drops events that are handled, not allowed or of no interest, and completes the others.

    Args:
        store: The store of handled events and of rooms.
        reader: Reads further data from the homeserver.
        policy: Which events some flow handles.
    """

    def __init__(self, store: RetryingStore, reader: HomeserverReader, policy: Policy) -> None:
        self._store = store
        self._reader = reader
        self._policy = policy
        self._claims = RoomClaims(store, reader)
        self._explained = BoundedDict[tuple[RoomId, str], None](MAX_EXPLAINED)

    async def is_wanted(self, inbound: Inbound) -> bool:
        """Whether some flow handles the event and it was not handled before."""
        if inbound.kind in _OF_OTHERS and inbound.kind not in self._policy.kinds:
            return False
        if await self._store.is_handled(inbound.event_id):
            return False
        if not self.is_allowed(inbound):
            return False
        return not isinstance(inbound, RoomUpgraded) or await self._claims.is_replaced(inbound)

    def is_allowed(self, inbound: Inbound) -> bool:
        """Whether the bot responds to the sender."""
        return inbound.kind in FOR_EVERYBODY or self._policy.is_allowed(inbound.sender)

    async def corrections(self, inbound: Inbound) -> AsyncIterator[Inbound]:
        """Events to handle before this one, because of claims about its room."""
        if inbound.kind in _FIRST_IN_ROOM:
            async for correction in self._claims.corrections(inbound):
                if not await self._store.is_handled(correction.event_id):
                    yield correction

    async def complete(self, inbound: Inbound) -> Inbound | None:
        """The event, decrypted and complete; None if no flow handles it."""
        readable: Inbound | None = inbound
        if inbound.kind is EventKind.UNREADABLE:
            readable = await self._reader.decrypt_later(inbound)
        if readable is None:
            return None
        completed = await self._with_room(readable)
        completed = await self._with_question(completed)
        is_idle_reaction = completed.kind is EventKind.REACTION and completed.question is None
        return None if is_idle_reaction or self._is_explained(completed) else completed

    def note_explained(self, message: UnsupportedMessage) -> None:
        """Record that the room got the explanation about this kind of message: once is enough."""
        self._explained[message.room_id, message.content_type] = None

    def _is_explained(self, inbound: Inbound) -> bool:
        if not isinstance(inbound, UnsupportedMessage):
            return False
        return (inbound.room_id, inbound.content_type) in self._explained

    async def _with_room(self, inbound: Inbound) -> Inbound:
        if inbound.kind in _SAID and self._policy.tells_groups:
            inbound = evolve(inbound, is_group=await self._reader.is_group(inbound.room_id))
        if inbound.kind in _OF_ROOMS:
            room = await self._claims.record(inbound.room_id)
            owner = room.matrix_user_id if room else None
            inbound = evolve(inbound, sender=owner or inbound.sender)
        return inbound

    async def _with_question(self, inbound: Inbound) -> Inbound:
        if inbound.kind is EventKind.TEXT and self._says(inbound, RETRY):
            repeats = await self._reader.last_question(inbound.room_id, inbound.sender)
            inbound = evolve(inbound, repeats=repeats)
        if inbound.about is not None and self._may_answer(inbound):
            question_ref = await self._reader.question_mark(inbound.room_id, inbound.about)
            if question_ref is not None and question_ref.asker in (None, inbound.sender):
                inbound = evolve(inbound, question=question_ref)
        return inbound

    def _says(self, inbound: Inbound, command: str) -> bool:
        said = said_in(inbound.body, self._policy.prefix, inbound.names)
        return isinstance(said, Command) and said.name == command

    def _may_answer(self, inbound: Inbound) -> bool:
        """Whether the event can be a reply to a question of the bot."""
        if isinstance(inbound, ReactionReceived):
            return compared(inbound.key) in self._policy.reactions
        return inbound.kind is EventKind.TEXT and len(inbound.body) <= self._policy.max_reply_chars
