"""What waits in a room's queue, and what handling it needs of the homeserver."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from attrs import frozen

from ephemeral.conversations import Lapsed
from fsm import EventKind, Flow, Inbound, QuestionRef
from fsm.events import ANY
from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.text import compared
from matrix import TimelineGap
from strandline.engine.checkpoint import Batch
from strandline.engine.deadlines import Due
from strandline.flows.order import FLOWS

LONGEST_ANSWER = 40
"""Of those that the bot's own flows ask for: each reply with fewer characters costs a request."""


@frozen
class NewEvent:
    """An event of a sync response."""

    inbound: Inbound
    batch: Batch


@frozen
class UnreadGap:
    """A hole in a room's timeline, to be filled before anything later in the room."""

    gap: TimelineGap
    batch: Batch


@frozen
class Retry:
    """An event to be handled once more, known by its id since the process has died in between."""

    room_id: RoomId
    event_id: EventId
    attempt: int


WorkItem = NewEvent | UnreadGap | Retry | Lapsed | Due


def room_of(item: WorkItem) -> RoomId:
    """The room in whose order the item is handled."""
    match item:
        case NewEvent(inbound=inbound) | Lapsed(inbound=inbound):
            return inbound.room_id
        case UnreadGap(gap=gap):
            return gap.room_id
        case Retry(room_id=room_id):
            return room_id
        case Due(deadline=deadline):
            return deadline.room_id


class Shore(Protocol):
    """What handling needs of the homeserver."""

    def fill(self, gap: TimelineGap) -> AsyncIterator[Inbound]:
        """The events that a gap hides, in order."""

    async def event(self, room_id: RoomId, event_id: EventId) -> Inbound | None:
        """One event by its id; None if it is gone."""

    async def decrypt_later(self, inbound: Inbound) -> Inbound | None:
        """The event once its key has come; itself if the key stays away; None if it is no text."""

    async def is_group(self, room_id: RoomId) -> bool:
        """Whether more than two people are in the room, or invited to it."""

    async def enter_replacement(self, room_id: RoomId, to: RoomId, *, stays: bool) -> bool:
        """Enter ``to``; whether it says that it replaces ``room_id``. If not, it may be left."""

    async def invite(self, room_id: RoomId) -> Inbound | None:
        """The invite that brought the bot into the room, as the room has it; None if none did."""

    async def replaces(self, room_id: RoomId) -> RoomId | None:
        """The room that this one replaces, if both rooms say so."""

    async def question_mark(self, room_id: RoomId, event_id: EventId) -> QuestionRef | None:
        """What a message of the bot's says of itself, if it is a question."""

    async def last_question(self, room_id: RoomId, sender: UserId) -> Inbound | None:
        """What the sender has last asked an agent in the room."""


@frozen(kw_only=True)
class Policy:
    """Whom the bot listens to.

    Args:
        is_allowed: Who may talk to it at all.
        reactions: The emoji that mean something to it, as they are compared.
        kinds: The kinds of event that some flow answers.
        longest_answer: A reply with more characters is no answer to a question of the bot's.
        tells_groups: It matters whether a room has more than two people in it.
        prefix: What a command begins with.
        joins: What somebody writes while an agent answers them is put to the agent with it.
    """

    is_allowed: Callable[[UserId], bool]
    reactions: frozenset[str] = frozenset()
    kinds: frozenset[EventKind] = frozenset()
    longest_answer: int = LONGEST_ANSWER
    tells_groups: bool = False
    prefix: str = "!"
    joins: bool = False

    @classmethod
    def of(
        cls,
        flows: Sequence[Flow],
        *,
        is_allowed: Callable[[UserId], bool],
        tells_groups: bool,
        prefix: str = "!",
        joins: bool = False,
    ) -> "Policy":
        """What these flows listen to."""
        events = [event for flow in flows for event in flow.events.values()]
        theirs = [flow for flow in flows if type(flow) not in FLOWS]
        takes_any = any(ANY in event.reply for flow in theirs for event in flow.events.values())
        return cls(
            is_allowed=is_allowed,
            reactions=frozenset(compared(key) for event in events for key in event.reaction),
            kinds=frozenset(event.on for event in events if event.on is not None),
            longest_answer=sys.maxsize if takes_any else LONGEST_ANSWER,
            tells_groups=tells_groups,
            prefix=prefix,
            joins=joins,
        )
