"""Makes outbox rows of effects: renders texts, splits them, and sets transaction ids."""

from collections.abc import Iterable, Iterator

from attrs import evolve, frozen

from fsm.effects import (
    ATTEMPT_ORDINALS,
    AddToSpace,
    Edit,
    Effect,
    Invite,
    JoinRoom,
    LeaveRoom,
    NameRoom,
    NewRoom,
    React,
    RemoveFromSpace,
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
from matrix import (
    MESSAGE,
    REACTION,
    ROOM_NAME,
    SPACE_CHILD,
    edit_content,
    message_content,
    reaction_content,
    room_link,
    room_name_content,
    space_child_content,
    split_text,
)


@frozen
class OutboxBuilder:
    """Makes outbox rows from effects.

    A text is split into parts that fit into one Matrix event each. Splitting and rendering an
    answer may take seconds, so callers do it in a thread.

    Args:
        notice: Whether messages are ``m.notice``, which other bots must not answer, instead of
            ``m.text``.
        server: The name of the bot's homeserver, for links to rooms and the children of a Space.
    """

    notice: bool = False
    server: str = ""

    def rows(
        self, inbound: Inbound, effects: Iterable[Effect], *, attempt: int = 0
    ) -> tuple[OutboxRow, ...]:
        """Return the outbox rows of a turn's effects.

        An effect without a row, such as a question to an agent, is left out.

        Args:
            inbound: The event that the turn handles.
            effects: All effects of the turn, in order.
            attempt: How often the event was handled before.
        """
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
                case SetState() | NameRoom() | AddToSpace() | RemoveFromSpace():
                    rows.append(self._state(effect, txn, inbound))
                case _:
                    rows += _other_row(effect, txn, inbound)
        return tuple(rows)

    def reply(
        self, reply: Reply, event_id: EventId, *, attempt: int = 0, index: int = 0
    ) -> list[OutboxRow]:
        """Return one row for each part of the reply's text.

        Args:
            reply: The reply.
            event_id: The event that the turn handles.
            attempt: How often the event was handled before.
            index: The reply's place among the effects of the turn, from 0.
        """
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
        """Return the rows of an agent's complete answer.

        Args:
            reply: The answer.
            event_id: The event that asked.
            attempt: How often that event was handled before.
            head: The id of the answer's first message if there is one already: its event id, or its
                transaction id while the event id is not known. That message is then edited. None if
                there is none.
            instead: The text to which that first message is edited if the question is redacted
                while the rows are pending. All other rows are then not sent. If empty, the edit is
                not sent either.
        """
        rows = self._answer_parts(reply, event_id, attempt)
        if head is not None:
            sent_as = head_id(event_id, attempt)
            known = {"sent_as": sent_as} if head == sent_as else {"event_id": EventId(head)}
            edit = Edit(room_id=reply.room_id, text=reply.text, answer=reply.answer, **known)
            rows[0] = self._edit(edit, rows[0].transaction_id, instead=instead)
        return rows

    def head(self, reply: Reply, event_id: EventId, attempt: int) -> OutboxRow:
        """Return the row of the first message of an answer that is not complete yet.

        Args:
            reply: The answer so far. Only the first part of its text is sent.
            event_id: The event that asked.
            attempt: How often that event was handled before.
        """
        txn = head_id(event_id, attempt)
        return self._part(reply, split_text(reply.text)[0], txn, stream_of=event_id)

    def edit_content(
        self, text: str, *, edits: EventId, txn: TransactionId, answer: AnswerRef | None = None
    ) -> Json:
        """Return the content of a Matrix event that edits a message.

        Args:
            text: The new text, Markdown. Only its first part is used.
            edits: The message.
            txn: The transaction id of the edit.
            answer: The answer's reference, if the message is an agent's answer; else None.
        """
        return edit_content(
            split_text(text)[0], edits=edits, transaction_id=txn, answer=answer, notice=self.notice
        )

    def files(
        self, reply: Reply, event_id: EventId, attempt: int, contents: Iterable[Json]
    ) -> Iterator[OutboxRow]:
        """Yield the rows of the messages that show the files of an agent's answer.

        Args:
            reply: The answer.
            event_id: The event that asked.
            attempt: How often that event was handled before.
            contents: The message contents of the files, which are already uploaded.
        """
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

    def room_link(self, room_id: RoomId) -> str:
        """The room's link, which Matrix clients open."""
        return room_link(room_id, self.server)

    def _state(
        self,
        effect: SetState | NameRoom | AddToSpace | RemoveFromSpace,
        txn: TransactionId,
        inbound: Inbound,
    ) -> StateRow:
        state = self._state_event(effect)
        return StateRow(
            transaction_id=txn,
            room_id=state.room_id,
            event_type=state.type,
            state_key=state.state_key,
            content=dict(state.content),
            report_to=_report_to(state.asked_in, inbound),
        )

    def _state_event(self, effect: SetState | NameRoom | AddToSpace | RemoveFromSpace) -> SetState:
        match effect:
            case SetState():
                return effect
            case NameRoom(room_id=room_id, name=name, asked_in=asked_in):
                return SetState(
                    room_id=room_id,
                    type=ROOM_NAME,
                    content=room_name_content(name),
                    asked_in=asked_in,
                )
            case AddToSpace(space_id=space_id, room_id=room_id):
                content = space_child_content(room_id, self.server)
            case RemoveFromSpace(space_id=space_id, room_id=room_id):
                content = {}
        return SetState(room_id=space_id, type=SPACE_CHILD, content=content, state_key=room_id)

    def _answer_parts(self, reply: Reply, event_id: EventId, attempt: int) -> list[OutboxRow]:
        first = f"{attempt * ATTEMPT_ORDINALS}.answer"
        return [
            self._part(reply, part, transaction_id(event_id, f"{first}.{number}"))
            for number, part in enumerate(split_text(reply.text))
        ]

    def _part(
        self, reply: Reply, text: str, txn: TransactionId, *, stream_of: EventId | None = None
    ) -> OutboxRow:
        content = message_content(
            text,
            transaction_id=txn,
            in_reply_to=reply.in_reply_to,
            thread=reply.thread,
            mention=reply.mention,
            mark=reply.question_ref,
            answer=reply.answer,
            notice=self.notice,
        )
        return _send(reply.room_id, txn, content, stream_of=stream_of)

    def _edit(self, edit: Edit, txn: TransactionId, *, instead: str = "") -> OutboxRow:
        edits, answer_ref = edit.event_id or EventId(""), edit.answer
        content = self.edit_content(edit.text, edits=edits, txn=txn, answer=answer_ref)
        if_withdrawn = None
        if instead and answer_ref is not None:
            empty = evolve(answer_ref, is_empty=True)
            if_withdrawn = self.edit_content(instead, edits=edits, txn=txn, answer=empty)
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
    """Return the transaction id of the first message of an answer.

    Args:
        event_id: The event that asked.
        attempt: How often that event was handled before.
    """
    return transaction_id(event_id, f"{attempt * ATTEMPT_ORDINALS}.head")


def _report_to(asked_in: RoomId | None, inbound: Inbound) -> ReportTo | None:
    if asked_in is None:
        return None
    return ReportTo(room_id=asked_in, user_id=inbound.sender, about=_about(inbound))


def _about(inbound: Inbound) -> EventId | None:
    """Return the event to reply to when a later turn handles the outcome of an effect.

    None if there is no such event. ``inbound`` is the event whose turn requested the effect.
    """
    if inbound.kind in (EventKind.TEXT, EventKind.FILE):
        return inbound.event_id
    return inbound.about


def _other_row(effect: Effect, txn: TransactionId, inbound: Inbound) -> Iterator[OutboxRow]:
    """Yield the row of an effect that is neither a message nor a state event.

    Nothing is yielded if the effect has no row.
    """
    match effect:
        case React(room_id=room_id, event_id=event_id, key=key):
            content = reaction_content(key, about=event_id, transaction_id=txn)
            yield _send(room_id, txn, content, event_type=REACTION)
        case Invite(room_id=room_id, user_id=user_id, asked_in=asked_in):
            report_to = _report_to(asked_in, inbound)
            yield InviteRow(
                transaction_id=txn, room_id=room_id, user_id=user_id, report_to=report_to
            )
        case NewRoom(user_id=user_id):
            # one user's rooms are created in the order in which they were requested
            order = RoomId(f"rooms of {user_id}")
            yield CreateRoomRow(transaction_id=txn, room_id=order, room=effect)
        case JoinRoom(room_id=room_id):
            yield JoinRow(transaction_id=txn, room_id=room_id)
        case LeaveRoom(room_id=room_id):
            yield LeaveRow(transaction_id=txn, room_id=room_id)


def _send(
    room_id: RoomId,
    txn: TransactionId,
    content: Json,
    *,
    event_type: str = MESSAGE,
    stream_of: EventId | None = None,
) -> SendRow:
    return SendRow(
        transaction_id=txn,
        room_id=room_id,
        event_type=event_type,
        content=content,
        stream_of=stream_of,
    )
