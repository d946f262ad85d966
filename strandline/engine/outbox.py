"""Effects as rows of the outbox: rendered, split to Matrix's event size, each with its identity."""

from collections.abc import Iterable, Iterator

from attrs import evolve, frozen

from fsm.effects import (
    ATTEMPT_ORDINALS,
    Edit,
    Effect,
    Invite,
    JoinRoom,
    LeaveRoom,
    NewRoom,
    React,
    Reply,
    SetState,
    effect_id,
    transaction_id,
)
from fsm.outbox import (
    CreateRoomRow,
    EditRow,
    InviteRow,
    JoinRow,
    Json,
    LeaveRow,
    OutboxRow,
    ReportTo,
    SendRow,
    StateRow,
)
from fsm.values.ids import EventId, RoomId, TransactionId
from fsm.values.inbound import EventKind, Inbound
from fsm.values.messages import AnswerRef
from matrix import edit_content, message_content, reaction_content, split_text


@frozen
class OutboxBuilder:
    """How what is said becomes rows.

    An answer may take seconds to be split and rendered: done in a thread, it delays nobody else.

    Args:
        notice: Everything is said as ``m.notice``, which other bots are not to answer, instead of
            ``m.text``.
    """

    notice: bool = False

    def rows(
        self, inbound: Inbound, effects: Iterable[Effect], *, attempt: int = 0
    ) -> tuple[OutboxRow, ...]:
        """The outbox rows that these effects become, each under its own transaction id."""
        rows: list[OutboxRow] = []
        for index, effect in enumerate(effects):
            txn = effect_id(inbound.event_id, attempt, index)
            match effect:
                case Reply():
                    rows += self.reply(effect, inbound.event_id, attempt=attempt, index=index)
                case Edit(event_id=None, sent_as=None):
                    pass  # it names no message
                case Edit():
                    rows.append(self._edit(effect, txn))
                case _:
                    rows += _plain(effect, txn, inbound)
        return tuple(rows)

    def reply(
        self, reply: Reply, event_id: EventId, *, attempt: int = 0, index: int = 0
    ) -> list[OutboxRow]:
        """One row for each part of the reply to ``event_id``."""
        return [
            self._part(reply, part, effect_id(event_id, attempt, index, number))
            for number, part in enumerate(split_text(reply.text))
        ]

    def answer(
        self,
        reply: Reply,
        event_id: EventId,
        attempt: int,
        *,
        head: EventId | TransactionId | None,
        instead: str = "",
    ) -> list[OutboxRow]:
        """An agent's whole answer.

        Args:
            reply: What it says.
            event_id: The event that it answers.
            attempt: How often that was handled before.
            head: The first message of the answer, if there is one: it is edited. The id under
                which it was sent, if it has no other yet.
            instead: What that first message says if the question is taken back while the rows
                wait; the others are then not sent.
        """
        first = f"{attempt * ATTEMPT_ORDINALS}.answer"
        rows = [
            self._part(reply, part, transaction_id(event_id, f"{first}.{number}"))
            for number, part in enumerate(split_text(reply.text))
        ]
        if head is not None:
            txn = rows[0].transaction_id
            sent_as = head_id(event_id, attempt)
            known = {"sent_as": sent_as} if head == sent_as else {"event_id": EventId(head)}
            edit = Edit(room_id=reply.room_id, text=reply.text, answer=reply.answer, **known)
            rows[0] = self._edit(edit, txn, instead=instead)
        return rows

    def head(self, reply: Reply, event_id: EventId, attempt: int) -> OutboxRow:
        """The first message of an answer that is still growing."""
        txn = head_id(event_id, attempt)
        return self._part(reply, split_text(reply.text)[0], txn, stream_of=event_id)

    def edit(
        self, text: str, *, edits: EventId, txn: TransactionId, answer: AnswerRef | None = None
    ) -> Json:
        """The content that gives the message ``edits`` another text."""
        return edit_content(
            split_text(text)[0], edits=edits, transaction_id=txn, answer=answer, notice=self.notice
        )

    def files(
        self, reply: Reply, event_id: EventId, attempt: int, contents: Iterable[Json]
    ) -> Iterator[OutboxRow]:
        """The files of an agent's answer, which are at the homeserver already."""
        for number, content in enumerate(contents):
            txn = transaction_id(event_id, f"{attempt * ATTEMPT_ORDINALS}.file.{number}")
            about = message_content(
                "",
                transaction_id=txn,
                in_reply_to=reply.in_reply_to,
                thread=reply.thread,
                answer=reply.answer,
            )
            yield _send(reply.room_id, txn, about | content)

    def _part(
        self, reply: Reply, text: str, txn: TransactionId, *, stream_of: EventId | None = None
    ) -> OutboxRow:
        content = message_content(
            text,
            transaction_id=txn,
            in_reply_to=reply.in_reply_to,
            thread=reply.thread,
            mention=reply.mention,
            mark=reply.mark,
            answer=reply.answer,
            notice=self.notice,
        )
        return _send(reply.room_id, txn, content, stream_of=stream_of)

    def _edit(self, edit: Edit, txn: TransactionId, *, instead: str = "") -> OutboxRow:
        edits, mark = edit.event_id or EventId(""), edit.answer
        content = self.edit(edit.text, edits=edits, txn=txn, answer=mark)
        if_withdrawn = None
        if instead and mark is not None:
            empty = evolve(mark, is_empty=True)
            if_withdrawn = self.edit(instead, edits=edits, txn=txn, answer=empty)
        if edit.event_id is not None or edit.sent_as is None:
            return evolve(_send(edit.room_id, txn, content), if_withdrawn=if_withdrawn)
        return EditRow(
            transaction_id=txn,
            room_id=edit.room_id,
            content=content,
            if_withdrawn=if_withdrawn,
            sent_as=edit.sent_as,
        )


def head_id(event_id: EventId, attempt: int) -> TransactionId:
    """Under which the first message of a growing answer is sent."""
    return transaction_id(event_id, f"{attempt * ATTEMPT_ORDINALS}.head")


def _report_to(asked_in: RoomId | None, inbound: Inbound) -> ReportTo | None:
    if asked_in is None:
        return None
    return ReportTo(room_id=asked_in, user_id=inbound.sender, about=_about(inbound))


def _about(inbound: Inbound) -> EventId | None:
    """What a later turn, which hears of an effect of this one, replies to."""
    if inbound.kind in (EventKind.TEXT, EventKind.FILE):
        return inbound.event_id
    return inbound.about


def _plain(effect: Effect, txn: TransactionId, inbound: Inbound) -> Iterator[OutboxRow]:
    """The row of an effect that says nothing; none for what leaves no row."""
    match effect:
        case React(room_id=room_id, event_id=event_id, key=key):
            content = reaction_content(key, about=event_id, transaction_id=txn)
            yield _send(room_id, txn, content, event_type="m.reaction")
        case SetState():
            yield _state(effect, txn, _report_to(effect.asked_in, inbound))
        case Invite(room_id=room_id, user_id=user_id, asked_in=asked_in):
            report_to = _report_to(asked_in, inbound)
            yield InviteRow(
                transaction_id=txn, room_id=room_id, user_id=user_id, report_to=report_to
            )
        case NewRoom(user_id=user_id):
            # one user's rooms are made in the order in which they were asked for
            order = RoomId(f"rooms of {user_id}")
            yield CreateRoomRow(transaction_id=txn, room_id=order, room=effect)
        case JoinRoom(room_id=room_id):
            yield JoinRow(transaction_id=txn, room_id=room_id)
        case LeaveRoom(room_id=room_id):
            yield LeaveRow(transaction_id=txn, room_id=room_id)


def _state(state: SetState, txn: TransactionId, report_to: ReportTo | None) -> StateRow:
    return StateRow(
        transaction_id=txn,
        room_id=state.room_id,
        event_type=state.type,
        state_key=state.state_key,
        content=dict(state.content),
        report_to=report_to,
    )


def _send(
    room_id: RoomId,
    txn: TransactionId,
    content: Json,
    *,
    event_type: str = "m.room.message",
    stream_of: EventId | None = None,
) -> SendRow:
    return SendRow(
        transaction_id=txn,
        room_id=room_id,
        event_type=event_type,
        content=content,
        stream_of=stream_of,
    )
