"""What people do to a message before it is answered: edit it, take it back, or say stop.

All of it reaches the program out of turn, since the message that it is about may be the one that
its room waits for. None of it is kept: after a crash it comes again with the events themselves.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from attrs import evolve, frozen

from fsm import Inbound
from fsm.effects import AskAgent
from fsm.values.bounded import BoundedDict
from fsm.values.ids import EventId, RoomId, UserId
from matrix import Amendment

MAX_AMENDMENTS = 1_000
"""Maximum number of edits, and of redactions, that are kept for each author in a room. Older ones
belong to messages that were answered long ago."""

MAX_AUTHORS = 10_000
"""Maximum number of pairs of room and author whose amendments are kept. The author who has amended
nothing for the longest time is dropped first."""


@frozen
class Stop:
    """The asker wants no more of the answer."""


_Message = tuple[RoomId, EventId]


class ActiveAnswer:
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
            case Amendment() if by.target != self.inbound.event_id:
                self.joined, self.version = tuple(_joined(self.joined, by)), by.event_id
            case Amendment(text=str(text)):
                self.inbound, self.version = _edited(self.inbound, by, text), by.event_id
            case _:
                self.ended = by
        if not self.came.done():
            self.came.set_result(None)

    def go_on(self) -> None:
        """The answer begins anew."""
        self.came = asyncio.get_running_loop().create_future()


class EditTracker:
    """Knows what was done to messages, and tells whoever has them in hand.

    Args:
        is_allowed: Whose messages are heard at all. Others' edits are not kept: they are of theirs.
    """

    def __init__(self, *, is_allowed: Callable[[UserId], bool] = lambda _: True) -> None:
        self._is_allowed = is_allowed
        self._made = BoundedDict[tuple[RoomId, UserId], _Made](
            MAX_AUTHORS, on_drop=self._forget_all
        )
        self._taken_back: dict[_Message, Amendment] = {}
        self._in_hand: dict[EventId, ActiveAnswer] = {}

    def note(self, amendment: Amendment) -> None:
        """An edit or a redaction has arrived, perhaps later than one that was made after it."""
        if amendment.text is not None and not self._is_allowed(amendment.sender):
            return
        self._keep(amendment)
        for held in self._in_hand.values():
            for inbound in (held.inbound, *(joined.inbound for joined in held.joined)):
                if amendment.target in (inbound.event_id, inbound.version):
                    self._look(held, inbound)

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
        return _edited(inbound, amendment, amendment.text)

    def take(self, inbound: Inbound) -> ActiveAnswer:
        """The message is being answered, until ``release``."""
        held = self._in_hand[inbound.event_id] = ActiveAnswer(inbound)
        self._look(held, inbound)
        return held

    def join(self, held: ActiveAnswer, question: AskAgent) -> None:
        """A further question is answered with the one that is in hand."""
        held.interrupt(question)
        self._look(held, question.inbound)

    def release(self, held: ActiveAnswer) -> None:
        """The message is answered."""
        self._in_hand.pop(held.inbound.event_id, None)

    def in_hand(self, room_id: RoomId) -> ActiveAnswer | None:
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

    def _look(self, held: ActiveAnswer, inbound: Inbound) -> None:
        """Interrupt the answer if something was done to a message since it was decided upon."""
        made = self._newest(inbound)
        if made is not None and made.event_id != inbound.version:
            held.interrupt(made)

    def _newest(self, inbound: Inbound) -> Amendment | None:
        """What was done to the message: its own sender's edit, unless it was taken back.

        An edit that was itself taken back leaves the one before it, or the original text.
        """
        taken_back = self._taken_back.get((inbound.room_id, inbound.event_id))
        if taken_back is not None:  # and stays so, whatever is edited
            return taken_back
        made = self._made.get((inbound.room_id, inbound.sender))
        edits = [] if made is None else [e for e in made.edits.values() if self._counts(e, inbound)]
        if edits:
            return max(edits, key=_order)
        undone = inbound.version and self._taken_back.get((inbound.room_id, inbound.version))
        return evolve(undone, target=inbound.event_id, text=inbound.unedited) if undone else None

    def _counts(self, edit: Amendment, inbound: Inbound) -> bool:
        is_undone = self.is_taken_back(edit.room_id, edit.event_id)
        return edit.target == inbound.event_id and not is_undone

    def _keep(self, amendment: Amendment) -> None:
        """Keep it, and drop an older one of the same author, or the longest silent author."""
        author = amendment.room_id, amendment.sender
        made = self._made.get(author) or self._nothing_made()
        self._made[author] = made
        if amendment.text is None:
            self._taken_back[amendment.room_id, amendment.target] = amendment
            made.redactions[amendment.target] = amendment
        else:
            made.edits[amendment.event_id] = amendment

    def _nothing_made(self) -> "_Made":
        return _Made(
            edits=BoundedDict(MAX_AMENDMENTS),
            redactions=BoundedDict(MAX_AMENDMENTS, on_drop=self._forget),
        )

    def _forget_all(self, made: "_Made") -> None:
        for redaction in made.redactions.values():
            self._forget(redaction)

    def _forget(self, amendment: Amendment) -> None:
        message = amendment.room_id, amendment.target
        if self._taken_back.get(message) is amendment:
            del self._taken_back[message]


@frozen(eq=False)
class _Made:
    """What one person did to messages in one room, the oldest first.

    Args:
        edits: By their own ids.
        redactions: By the message that each takes back.
    """

    edits: BoundedDict[EventId, Amendment]
    redactions: BoundedDict[EventId, Amendment]


def _order(amendment: Amendment) -> tuple[int, EventId]:
    return amendment.sent_at_ms, amendment.event_id


def _edited(inbound: Inbound, by: Amendment, text: str) -> Inbound:
    unedited = inbound.body if inbound.version is None else inbound.unedited
    return evolve(inbound, body=text, version=by.event_id, unedited=unedited)


def _joined(joined: Iterable[AskAgent], by: Amendment) -> Iterator[AskAgent]:
    """The questions that joined one, without the one that was taken back, or as it now reads."""
    for question in joined:
        if question.request_id != by.target:
            yield question
        elif by.text is not None:
            yield evolve(question, text=by.text, inbound=_edited(question.inbound, by, by.text))
