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
"""Maximum length of a reply to a question of a built-in flow. For a longer text, the bot does not
request the event to which the text replies, but handles it as an ordinary text."""

MAX_EXPLAINED = 1_000
"""Maximum number of remembered pairs of a room and an unsupported kind of message. Each pair means
that the bot has told the room that it can't handle this kind."""

RETRY = "retry"
"""The command that asks an agent the sender's last question again. The question is read from the
room."""

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
"""Kinds of events that are handled whoever sent them: those that the bot makes itself, and those
that flows must see from everybody. Events of all other kinds are handled only if their sender may
talk to the bot."""

_SAID = {EventKind.TEXT, EventKind.FILE, EventKind.OTHER}
_OF_OTHERS = {EventKind.ENTERED, EventKind.DEPARTED}
_OF_ROOMS = {EventKind.JOINED, EventKind.LEFT, EventKind.UPGRADED}
_FIRST_IN_ROOM = {EventKind.TEXT, EventKind.FILE, EventKind.UNREADABLE, EventKind.JOINED}


@frozen(kw_only=True)
class Policy:
    """The rules by which events are selected: what the flows answer, and who may talk to the bot.

    Args:
        is_allowed: Returns whether a user may talk to the bot at all.
        reactions: The emoji that some flow answers, as normalized by ``compared``.
        kinds: The kinds that some flow's event names as its cause (``Event(on=…)``).
        max_reply_chars: The maximum length of a reply to a question of the bot. Longer replies are
            handled as ordinary texts.
        tells_groups: Whether flows need to know if a room has more than two members. If so,
            ``is_group`` is set for each message.
        prefix: The text with which a command begins.
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
        """Return the policy for these flows. The other arguments are those of the class."""
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
    """Decides which events are handled, and completes them with data from the homeserver.

    An event is dropped, for example, if it was handled before, if its sender may not talk to the
    bot, or if no flow can answer it.

    Args:
        store: The store of handled events and of rooms.
        reader: Reads further data from the homeserver.
        policy: The rules by which events are selected.
    """

    def __init__(self, store: RetryingStore, reader: HomeserverReader, policy: Policy) -> None:
        self._store = store
        self._reader = reader
        self._policy = policy
        self._claims = RoomClaims(store, reader)
        self._explained = BoundedDict[tuple[RoomId, str], None](MAX_EXPLAINED)

    async def is_wanted(self, inbound: Inbound) -> bool:
        """Whether the event is to be handled, as far as can be seen before ``complete``.

        False if the event was handled before, if its sender may not talk to the bot, if another
        user joined or left a room and no flow answers that, or if a tombstone names a room that
        does not confirm it. To check a tombstone, the bot joins the room that it names.
        """
        if inbound.kind in _OF_OTHERS and inbound.kind not in self._policy.kinds:
            return False
        if await self._store.is_handled(inbound.event_id):
            return False
        if not self.is_allowed(inbound):
            return False
        if isinstance(inbound, RoomUpgraded):
            return await self._claims.enter_replacement(inbound)
        return True

    def is_allowed(self, inbound: Inbound) -> bool:
        """Whether the bot handles events of this kind from this sender."""
        return inbound.kind in FOR_EVERYBODY or self._policy.is_allowed(inbound.sender)

    async def corrections(self, inbound: Inbound) -> AsyncIterator[Inbound]:
        """Yield the events to handle before this one; see ``RoomClaims.corrections``.

        Events that were handled before are left out.
        """
        if inbound.kind in _FIRST_IN_ROOM:
            async for correction in self._claims.corrections(inbound):
                if not await self._store.is_handled(correction.event_id):
                    yield correction

    async def complete(self, inbound: Inbound) -> Inbound | None:
        """Return the event, decrypted and with further data; None if it is to be dropped.

        The further data are read from the homeserver: the question of the bot that the event
        answers, the sender's last question if the event is the command ``RETRY``, and facts about
        the room.

        None for a reaction to anything but a question of the bot to its sender, or with an emoji
        that no flow answers; for an encrypted event that turns out to be none that the bot handles;
        and for a message of an unsupported kind if the room was told before that the bot can't
        handle this kind.
        """
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
        """Record that the bot has told the room that it can't handle this kind of message.

        Further messages of this kind in the room are dropped, so that the bot says so only once.
        """
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
        """Whether the event can be an answer to a question of the bot.

        That is a reaction with an emoji that some flow answers, or a text that is short enough.
        """
        if isinstance(inbound, ReactionReceived):
            return compared(inbound.key) in self._policy.reactions
        return inbound.kind is EventKind.TEXT and len(inbound.body) <= self._policy.max_reply_chars
