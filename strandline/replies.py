"""Effects as rows of the outbox: rendered, split to Matrix's event size, each with its identity."""

from collections.abc import Iterable
from typing import Any

from attrs import asdict

from fsm.effects import (
    ATTEMPT_ORDINALS,
    Edit,
    Effect,
    Invite,
    JoinRoom,
    LeaveRoom,
    NewRoom,
    OutboxRow,
    React,
    Reply,
    SetState,
    effect_id,
    transaction_id,
)
from fsm.ids import EventId, RoomId, TransactionId
from fsm.inbound import Inbound
from matrix.text import edit_content, message_content, reaction_content, split


def outbox_rows(
    inbound: Inbound, effects: Iterable[Effect], *, attempt: int = 0
) -> tuple[OutboxRow, ...]:
    """The outbox rows that these effects become, each under its own transaction id."""
    rows: list[OutboxRow] = []
    for index, effect in enumerate(effects):
        txn = effect_id(inbound.event_id, attempt, index)
        match effect:
            case Reply():
                rows += reply_rows(effect, inbound.event_id, attempt=attempt, index=index)
            case Edit():
                rows.append(_edit(effect, txn))
            case React(room_id=room_id, event_id=event_id, key=key):
                content = reaction_content(key, about=event_id, transaction_id=txn)
                rows.append(_send(room_id, txn, content, event_type="m.reaction"))
            case SetState(room_id=room_id):
                state = {
                    "type": effect.type,
                    "state_key": effect.state_key,
                    "content": dict(effect.content),
                }
                rows.append(_row(room_id, txn, "state", state))
            case Invite(room_id=room_id, user_id=user_id):
                rows.append(_row(room_id, txn, "invite", {"user_id": user_id}))
            case NewRoom():
                rows.append(_create(effect, txn))
            case JoinRoom(room_id=room_id):
                rows.append(_row(room_id, txn, "join", {}))
            case LeaveRoom(room_id=room_id):
                rows.append(_row(room_id, txn, "leave", {}))
    return tuple(rows)


def reply_rows(
    reply: Reply, event_id: EventId, *, attempt: int = 0, index: int = 0
) -> list[OutboxRow]:
    """One row for each part of the reply to ``event_id``."""
    ids = (effect_id(event_id, attempt, index, part) for part in range(ATTEMPT_ORDINALS))
    return [_part(reply, part, txn) for part, txn in zip(split(reply.text), ids, strict=False)]


def answer_rows(
    reply: Reply, event_id: EventId, attempt: int, *, head: EventId | None
) -> list[OutboxRow]:
    """An agent's whole answer.

    Args:
        reply: What it says.
        event_id: The event that it answers.
        attempt: How often that was handled before.
        head: The first message of the answer, if it is in the room already: it is edited.
    """
    parts = split(reply.text)
    ids = [
        transaction_id(event_id, f"{attempt * ATTEMPT_ORDINALS}.answer.{part}")
        for part in range(len(parts))
    ]
    rows = [_part(reply, part, txn) for part, txn in zip(parts, ids, strict=True)]
    if head is not None:
        edit = edit_content(parts[0], edits=head, transaction_id=ids[0])
        rows[0] = _send(reply.room_id, ids[0], edit)
    return rows


def head_row(reply: Reply, event_id: EventId, attempt: int) -> OutboxRow:
    """The first message of an answer that is still growing."""
    txn = transaction_id(event_id, f"{attempt * ATTEMPT_ORDINALS}.head")
    return _part(reply, split(reply.text)[0], txn, stream_of=event_id)


def _part(
    reply: Reply, text: str, txn: TransactionId, *, stream_of: EventId | None = None
) -> OutboxRow:
    content = message_content(
        text,
        transaction_id=txn,
        in_reply_to=reply.in_reply_to,
        thread=reply.thread,
        mention=reply.mention,
        mark=reply.mark,
    )
    return _send(reply.room_id, txn, content, stream_of=stream_of)


def _edit(edit: Edit, txn: TransactionId) -> OutboxRow:
    text = split(edit.text)[0]
    if edit.event_id is not None:
        content = edit_content(text, edits=edit.event_id, transaction_id=txn)
        return _send(edit.room_id, txn, content)
    content = edit_content(text, edits=EventId(""), transaction_id=txn)
    return _row(edit.room_id, txn, "edit", {"sent_as": edit.sent_as, "content": content})


def _create(wish: NewRoom, txn: TransactionId) -> OutboxRow:
    # one user's rooms are made in the order in which they were asked for
    return _row(RoomId(f"rooms of {wish.user_id}"), txn, "create", asdict(wish))


def _send(
    room_id: RoomId,
    txn: TransactionId,
    content: dict[str, Any],
    *,
    event_type: str = "m.room.message",
    stream_of: EventId | None = None,
) -> OutboxRow:
    payload = {"type": event_type, "content": content}
    return OutboxRow(
        transaction_id=txn, room_id=room_id, kind="send", payload=payload, stream_of=stream_of
    )


def _row(room_id: RoomId, txn: TransactionId, kind: str, payload: dict[str, Any]) -> OutboxRow:
    return OutboxRow(transaction_id=txn, room_id=room_id, kind=kind, payload=payload)
