"""Edits and redactions of messages without a complete answer, and requests to stop an answer.

An *amendment* is an edit or a redaction. Amendments are recorded as soon as they arrive, before
earlier events of their room are handled: they may concern the message whose answer is in progress.
They are only kept in memory: after a crash, the homeserver sends them again, as it does the other
events that were not handled.
"""

from collections.abc import Callable

from attrs import evolve, frozen

from fsm import Inbound
from fsm.effects import AskAgent
from fsm.values.bounded import BoundedDict
from fsm.values.ids import EventId, RoomId, UserId
from matrix import MessageChange
from strandline.engine.answering.answer import ActiveAnswer, Stop, edited

MAX_AMENDMENTS = 1_000
"""Maximum number of edits, and of redactions, that are kept for each author in a room. Older ones
belong to messages that were answered long ago."""

MAX_AUTHORS = 10_000
"""Maximum number of pairs of room and author whose amendments are kept. The author who has amended
nothing for the longest time is dropped first."""


_Message = tuple[RoomId, EventId]


class EditTracker:
    """Records edits and redactions of messages, and interrupts the answers that they concern.

    Args:
        is_allowed: Returns whether a user may talk to the bot. Edits of other users are not
            recorded, but their redactions are.
    """

    def __init__(self, *, is_allowed: Callable[[UserId], bool] = lambda _: True) -> None:
        self._is_allowed = is_allowed
        self._amendments = BoundedDict[tuple[RoomId, UserId], _Amendments](
            MAX_AUTHORS, on_drop=self._forget_all
        )
        self._redactions: dict[_Message, MessageChange] = {}
        self._active: dict[EventId, ActiveAnswer] = {}

    def note(self, amendment: MessageChange) -> None:
        """Record an edit or a redaction, and interrupt the answer that it concerns.

        Edits and redactions may be passed in any order.
        """
        if amendment.text is not None and not self._is_allowed(amendment.sender):
            return
        self._keep(amendment)
        for answer in self._active.values():
            for inbound in (answer.inbound, *(joined.inbound for joined in answer.joined)):
                if amendment.target in (inbound.event_id, inbound.version):
                    self._check(answer, inbound)

    def is_redacted(self, room_id: RoomId, event_id: EventId) -> bool:
        """Whether the message was redacted, by anybody."""
        return (room_id, event_id) in self._redactions

    def amended(self, inbound: Inbound) -> Inbound | None:
        """Return the message with its latest edit applied; None if it was redacted."""
        amendment = self._newest(inbound)
        if amendment is None:
            return inbound
        if amendment.text is None:
            return None
        return edited(inbound, amendment, amendment.text)

    def track(self, answer: ActiveAnswer) -> None:
        """Interrupt the answer when its question changes, until ``release``."""
        self._active[answer.question.request_id] = answer
        self._check(answer, answer.inbound)

    def join(self, answer: ActiveAnswer, question: AskAgent) -> None:
        """Add a further question to an answer, and interrupt the answer if that question changes.

        The answer is interrupted now, too: the agent is asked again, with both questions.
        """
        answer.interrupt(question)
        self._check(answer, question.inbound)

    def release(self, answer: ActiveAnswer) -> None:
        """Stop tracking the answer, which is complete."""
        self._active.pop(answer.question.request_id, None)

    def active(self, room_id: RoomId) -> ActiveAnswer | None:
        """Return the answer that is in progress in the room; None if there is none."""
        found = (answer for answer in self._active.values() if answer.inbound.room_id == room_id)
        return next(found, None)

    def stop(self, room_id: RoomId, sender: UserId) -> EventId | None:
        """Stop the answer that ``sender`` waits for in the room.

        Returns:
            The id of the question's event; None if no answer to ``sender`` is in progress there.
        """
        for question_id, answer in self._active.items():
            if answer.inbound.room_id == room_id and answer.inbound.sender == sender:
                answer.interrupt(Stop())
                return question_id
        return None

    def _check(self, answer: ActiveAnswer, inbound: Inbound) -> None:
        """Interrupt the answer if ``inbound``, one of its messages, has a newer valid amendment."""
        newest = self._newest(inbound)
        if newest is not None and newest.event_id != inbound.version:
            answer.interrupt(newest)

    def _newest(self, inbound: Inbound) -> MessageChange | None:
        """Return the valid amendment of the message; None if the message is as it was sent.

        A redaction is valid, or else the latest edit by the message's sender that was not redacted.
        If ``inbound`` has an edit applied that was redacted, and no other edit is left, return an
        amendment that restores the original text.
        """
        redaction = self._redactions.get((inbound.room_id, inbound.event_id))
        if redaction is not None:  # final, whatever is edited later
            return redaction
        made = self._amendments.get((inbound.room_id, inbound.sender))
        edits = [] if made is None else [e for e in made.edits.values() if self._counts(e, inbound)]
        if edits:
            return max(edits, key=_order)
        undone = inbound.version and self._redactions.get((inbound.room_id, inbound.version))
        return evolve(undone, target=inbound.event_id, text=inbound.unedited) if undone else None

    def _counts(self, edit: MessageChange, inbound: Inbound) -> bool:
        is_undone = self.is_redacted(edit.room_id, edit.event_id)
        return edit.target == inbound.event_id and not is_undone

    def _keep(self, amendment: MessageChange) -> None:
        """Store the amendment.

        Above the limits, drop the oldest one of the same author, or all of the author who has
        amended nothing for the longest time.
        """
        author = amendment.room_id, amendment.sender
        made = self._amendments.get(author) or self._no_amendments()
        self._amendments[author] = made
        if amendment.text is None:
            self._redactions[amendment.room_id, amendment.target] = amendment
            made.redactions[amendment.target] = amendment
        else:
            made.edits[amendment.event_id] = amendment

    def _no_amendments(self) -> "_Amendments":
        return _Amendments(
            edits=BoundedDict(MAX_AMENDMENTS),
            redactions=BoundedDict(MAX_AMENDMENTS, on_drop=self._forget),
        )

    def _forget_all(self, made: "_Amendments") -> None:
        for redaction in made.redactions.values():
            self._forget(redaction)

    def _forget(self, redaction: MessageChange) -> None:
        message = redaction.room_id, redaction.target
        if self._redactions.get(message) is redaction:
            del self._redactions[message]


@frozen(eq=False)
class _Amendments:
    """The edits and redactions of one user in one room, oldest first.

    Args:
        edits: The edits, by their own event ids.
        redactions: The redactions, by the ids of the messages that they redact.
    """

    edits: BoundedDict[EventId, MessageChange]
    redactions: BoundedDict[EventId, MessageChange]


def _order(amendment: MessageChange) -> tuple[int, EventId]:
    return amendment.sent_at_ms, amendment.event_id
