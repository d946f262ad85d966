"""What people do to a message before it is answered: edit it, take it back, or say stop.

All of it reaches the program out of turn, since the message that it is about may be the one that
its room waits for. None of it is kept: after a crash it comes again with the events themselves.
"""

import asyncio
from collections import OrderedDict

from attrs import evolve, field, frozen

from fsm import Inbound
from fsm.effects import AskAgent
from fsm.ids import EventId, RoomId, UserId
from matrix import Amendment

REMEMBERED = 1_000
"""So many amendments of one person in one room are kept for messages that have not been handled.
Older ones were made to messages that were answered long ago."""

MOST_PEOPLE = 10_000
"""The amendments of so many people are kept; those who amended nothing for longest go first."""


@frozen
class Stop:
    """The asker wants no more of the answer."""


_Message = tuple[RoomId, EventId]


class InHand:
    """A message whose answer an agent is giving.

    Attributes:
        inbound: The message as it is now.
        joined: Questions that were asked meanwhile, and are answered with it.
        version: What has changed the question last: an edit, or a message that joined.
        ended: Why no answer is wanted any more, if that is so.
        came: Is done once something has come in between.
    """

    def __init__(self, inbound: Inbound) -> None:
        self.inbound = inbound
        self.joined: tuple[AskAgent, ...] = ()
        self.version = inbound.version
        self.ended: Stop | Amendment | None = None
        self.came: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def interrupt(self, by: Stop | Amendment | AskAgent) -> None:
        """Have the answer end, or begin anew. What comes after an end changes nothing."""
        if self.ended is not None:
            return
        match by:
            case AskAgent():
                self.joined, self.version = (*self.joined, by), by.request_id
            case Amendment(text=str(text)):
                self.inbound = evolve(self.inbound, body=text, version=by.event_id)
                self.version = by.event_id
            case _:
                self.ended = by
        if not self.came.done():
            self.came.set_result(None)

    def go_on(self) -> None:
        """The answer begins anew."""
        self.came = asyncio.get_running_loop().create_future()


class Amending:
    """Knows what was done to messages, and tells whoever has them in hand."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[RoomId, UserId], _Made] = OrderedDict()
        self._taken_back: dict[_Message, Amendment] = {}
        self._in_hand: dict[EventId, InHand] = {}

    def note(self, amendment: Amendment) -> None:
        """An edit or a redaction has arrived, perhaps later than one that was made after it."""
        message = amendment.room_id, amendment.target
        if amendment.text is None:
            before = self._taken_back.get(message)
        else:
            before = self._edit(message, amendment.sender)
        is_news = before is None or _order(before) < _order(amendment)
        self._keep(amendment if before is None or is_news else before)
        held = self._in_hand.get(amendment.target)
        if is_news and held is not None and _may(amendment, held.inbound):
            held.interrupt(amendment)

    def is_taken_back(self, room_id: RoomId, event_id: EventId) -> bool:
        """Whether the message was taken back, by whomever."""
        return (room_id, event_id) in self._taken_back

    def amended(self, inbound: Inbound) -> Inbound | None:
        """The message as it is now; None if it was taken back."""
        amendment = self._newest(inbound)
        if amendment is None:
            return inbound
        if amendment.text is None:
            return None
        return evolve(inbound, body=amendment.text, version=amendment.event_id)

    def take(self, inbound: Inbound) -> InHand:
        """The message is being answered, until ``release``."""
        held = InHand(inbound)
        made = self._newest(inbound)
        if made is not None and made.event_id != inbound.version:
            held.interrupt(made)  # it came while the turn was being decided
        self._in_hand[inbound.event_id] = held
        return held

    def release(self, held: InHand) -> None:
        """The message is answered."""
        self._in_hand.pop(held.inbound.event_id, None)

    def in_hand(self, room_id: RoomId) -> InHand | None:
        """What is being answered in the room."""
        found = (held for held in self._in_hand.values() if held.inbound.room_id == room_id)
        return next(found, None)

    def stop(self, room_id: RoomId, sender: UserId) -> EventId | None:
        """Stop the answer that ``sender`` waits for in the room; which message it was to."""
        for event_id, held in self._in_hand.items():
            if held.inbound.room_id == room_id and held.inbound.sender == sender:
                held.interrupt(Stop())
                return event_id
        return None

    def _newest(self, inbound: Inbound) -> Amendment | None:
        """What was done to the message: its own sender's edit, unless it was taken back."""
        message = inbound.room_id, inbound.event_id
        taken_back = self._taken_back.get(message)  # and stays so, whatever is edited
        return taken_back or self._edit(message, inbound.sender)

    def _edit(self, message: _Message, sender: UserId) -> Amendment | None:
        room_id, event_id = message
        return self._made.get((room_id, sender), _Made()).edits.get(event_id)

    def _keep(self, amendment: Amendment) -> None:
        """Keep it. Only its own author's are forgotten for it, and those of who was long silent."""
        author = amendment.room_id, amendment.sender
        made = self._made.setdefault(author, _Made())
        self._made.move_to_end(author)
        kept = made.redactions if amendment.text is None else made.edits
        kept.pop(amendment.target, None)
        kept[amendment.target] = amendment
        if amendment.text is None:
            self._taken_back[amendment.room_id, amendment.target] = amendment
        if len(kept) > REMEMBERED:
            self._forget(kept.popitem(last=False)[1])
        if len(self._made) > MOST_PEOPLE:
            for redaction in self._made.popitem(last=False)[1].redactions.values():
                self._forget(redaction)

    def _forget(self, amendment: Amendment) -> None:
        message = amendment.room_id, amendment.target
        if self._taken_back.get(message) is amendment:
            del self._taken_back[message]


@frozen(eq=False)
class _Made:
    """What one person did to messages in one room, by the message, the oldest first."""

    edits: OrderedDict[EventId, Amendment] = field(factory=OrderedDict)
    redactions: OrderedDict[EventId, Amendment] = field(factory=OrderedDict)


def _order(amendment: Amendment) -> tuple[int, EventId]:
    return amendment.sent_at_ms, amendment.event_id


def _may(amendment: Amendment, inbound: Inbound) -> bool:
    """Everybody edits their own messages; who may redact another's, the homeserver decides."""
    if amendment.room_id != inbound.room_id:
        return False
    return amendment.text is None or amendment.sender == inbound.sender
