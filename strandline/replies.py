"""Replies as rows of the outbox: rendered, split to Matrix's event size, each with its identity."""

from fsm.effects import OutboxRow, Reply, transaction_id
from fsm.ids import EventId, RoomId, TransactionId
from matrix.text import edit_content, message_content, split


def reply_rows(reply: Reply, event_id: EventId, ordinal: int) -> list[OutboxRow]:
    """One row for each part of the reply to ``event_id``, numbered from ``ordinal``."""
    return [
        _row(
            reply.room_id,
            txn := transaction_id(event_id, ordinal + number),
            message_content(part, in_reply_to=reply.in_reply_to, transaction_id=txn),
        )
        for number, part in enumerate(split(reply.text))
    ]


def answer_rows(reply: Reply, event_id: EventId, ordinal: int, *, head: EventId) -> list[OutboxRow]:
    """The final form of an answer whose first message ``head`` is in the room already."""
    first, *rest = reply_rows(reply, event_id, ordinal)
    part = split(reply.text)[0]
    edit = edit_content(part, edits=head, transaction_id=first.transaction_id)
    return [_row(reply.room_id, first.transaction_id, edit), *rest]


def head_row(reply: Reply, event_id: EventId, ordinal: int) -> OutboxRow:
    """The first message of an answer that is still growing."""
    txn = transaction_id(event_id, f"{ordinal}.head")
    content = message_content(
        split(reply.text)[0], in_reply_to=reply.in_reply_to, transaction_id=txn
    )
    return OutboxRow(
        transaction_id=txn,
        room_id=reply.room_id,
        kind="send",
        payload={"type": "m.room.message", "content": content},
        stream_of=event_id,
    )


def _row(room_id: RoomId, txn: TransactionId, content: dict[str, object]) -> OutboxRow:
    return OutboxRow(
        transaction_id=txn,
        room_id=room_id,
        kind="send",
        payload={"type": "m.room.message", "content": content},
    )
