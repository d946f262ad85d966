"""Rows of the outbox, read from JSON as earlier versions wrote it, and written in the same form."""

import json
from pathlib import Path
from typing import Any

import pytest

from durable.store import Commit, Store
from fsm.effects import NewRoom
from fsm.outbox import (
    CreateRoomRow,
    EditRow,
    InviteRow,
    JoinRow,
    LeaveRow,
    OutboxRow,
    ReportTo,
    SendRow,
    StateRow,
    UnreadableRow,
)
from fsm.values.ids import EventId, RoomId, TransactionId, UserId
from tests.support.store.opening import NOON, ROOM, plain

ALICE = UserId("@alice:x.org")
ASKED = ReportTo(room_id=RoomId("!r:x.org"), user_id=ALICE, about=EventId("$ask"))
COLUMNS: dict[str, Any] = {
    "transaction_id": TransactionId("t1"),
    "room_id": ROOM,
    "position": 1,
    "created_at_ms": int(NOON.timestamp() * 1000),
}
TURN = '"org.strandline.turn":"t1"'
REPLY = (
    '{"msgtype":"m.text","body":"Готово","m.mentions":{},'
    '"m.relates_to":{"m.in_reply_to":{"event_id":"$ask"}},' + TURN + "}"
)
EDIT = (
    '{"msgtype":"m.text","body":"* 42","m.mentions":{},'
    '"m.new_content":{"msgtype":"m.text","body":"42","m.mentions":{},'
    '"org.strandline.answer":{"chat":"1","question":"$ask"}},'
    '"m.relates_to":{"rel_type":"m.replace","event_id":""},' + TURN + "}"
)
TAKEN_BACK = EDIT.replace("42", "taken back").replace('"$ask"}', '"$ask","empty":true}')
REACTION = '{"m.relates_to":{"rel_type":"m.annotation","event_id":"$ask","key":"✅"},' + TURN + "}"
REPORT = '"asked":{"in":"!r:x.org","by":"@alice:x.org","about":"$ask"}'
ROOM_WANTED = '{"user_id":"@alice:x.org","asked_in":"!r:x.org","purpose":"chat:C1","name":"Chat 1",'

STORED: list[tuple[str, str, OutboxRow]] = [
    (
        "send",
        f'{{"type":"m.room.message","content":{REPLY}}}',
        SendRow(**COLUMNS, event_type="m.room.message", content=json.loads(REPLY)),
    ),
    (
        "send",
        f'{{"type":"m.reaction","content":{REACTION}}}',
        SendRow(**COLUMNS, event_type="m.reaction", content=json.loads(REACTION)),
    ),
    (
        "edit",
        f'{{"content":{EDIT},"instead":{TAKEN_BACK},"sent_as":"t0"}}',
        EditRow(
            **COLUMNS,
            content=json.loads(EDIT),
            if_withdrawn=json.loads(TAKEN_BACK),
            sent_as=TransactionId("t0"),
        ),
    ),
    (
        "edit",
        f'{{"content":{EDIT},"sent_as":"t0","edits":"$head"}}',
        EditRow(
            **COLUMNS,
            content=json.loads(EDIT),
            sent_as=TransactionId("t0"),
            edits=EventId("$head"),
        ),
    ),
    (
        "state",
        f'{{"type":"m.room.name","state_key":"","content":{{"name":"Tides"}},{REPORT}}}',
        StateRow(
            **COLUMNS,
            event_type="m.room.name",
            state_key="",
            content={"name": "Tides"},
            report_to=ASKED,
        ),
    ),
    (
        "state",
        '{"type":"m.space.child","state_key":"!c:x.org","content":{"via":["x.org"]}}',
        StateRow(
            **COLUMNS,
            event_type="m.space.child",
            state_key="!c:x.org",
            content={"via": ["x.org"]},
        ),
    ),
    ("invite", '{"user_id":"@alice:x.org"}', InviteRow(**COLUMNS, user_id=ALICE)),
    (
        "invite",
        '{"user_id":"@alice:x.org","asked":{"in":"!r:x.org","by":"@alice:x.org","about":null}}',
        InviteRow(
            **COLUMNS,
            user_id=ALICE,
            report_to=ReportTo(room_id=RoomId("!r:x.org"), user_id=ALICE, about=None),
        ),
    ),
    (
        "create",
        ROOM_WANTED + '"space_id":null,"is_space":false}',
        CreateRoomRow(
            **COLUMNS,
            room=NewRoom(
                user_id=ALICE, asked_in=RoomId("!r:x.org"), purpose="chat:C1", name="Chat 1"
            ),
        ),
    ),
    (
        "create",
        ROOM_WANTED + '"space_id":"!s:x.org","is_space":true}',
        CreateRoomRow(
            **COLUMNS,
            room=NewRoom(
                user_id=ALICE,
                asked_in=RoomId("!r:x.org"),
                purpose="chat:C1",
                name="Chat 1",
                space_id=RoomId("!s:x.org"),
                is_space=True,
            ),
        ),
    ),
    ("join", "{}", JoinRow(**COLUMNS)),
    ("leave", "{}", LeaveRow(**COLUMNS)),
]


def insert(path: Path, kind: str, payload: str) -> None:
    """Store a row as an earlier version did."""
    with plain(path) as db:
        db.execute(
            "INSERT INTO outbox (transaction_id, room_id, kind, payload, created_at_ms)"
            " VALUES ('t1', ?, ?, ?, ?)",
            (ROOM, kind, payload, COLUMNS["created_at_ms"]),
        )


def stored(path: Path) -> list[tuple[str, str]]:
    with plain(path) as db:
        return db.execute("SELECT kind, payload FROM outbox").fetchall()


@pytest.mark.parametrize(("kind", "payload", "row"), STORED)
async def test_a_row_of_an_earlier_version_is_read(
    store: Store, path: Path, kind: str, payload: str, row: OutboxRow
) -> None:
    insert(path, kind, payload)

    assert await store.outbox.pending_rows() == (row,)


@pytest.mark.parametrize(("kind", "payload", "row"), STORED)
async def test_a_row_is_written_byte_for_byte_as_earlier_versions_write_it(
    store: Store, path: Path, kind: str, payload: str, row: OutboxRow
) -> None:
    await store.commit(Commit(outbox=(row,)))

    assert stored(path) == [(kind, payload)]


async def test_an_edit_with_another_order_of_keys_is_read_too(store: Store, path: Path) -> None:
    """So earlier versions wrote an edit of a message whose id was known."""
    insert(path, "send", f'{{"content":{EDIT},"instead":{TAKEN_BACK},"type":"m.room.message"}}')

    [row] = await store.outbox.pending_rows()

    assert row == SendRow(
        **COLUMNS,
        event_type="m.room.message",
        content=json.loads(EDIT),
        if_withdrawn=json.loads(TAKEN_BACK),
    )


@pytest.mark.parametrize(
    ("kind", "payload", "problem"),
    [
        ("dance", "{}", "no such kind of effect: 'dance'"),
        ("send", "{}", "required field missing @ $.event_type"),
        ("send", '{"type":1,"content":{}}', "expected str @ $.event_type"),
        ("send", '{"type":"m.room.message","content":[]}', "$.content"),
        ("edit", '{"content":{}}', "required field missing @ $.sent_as"),
        ("state", '{"type":"m.room.name","content":{}}', "$.state_key"),
        ("invite", '{"user_id":"@a:x","asked":{"in":"!r"}}', "$.report_to.user_id"),
        ("create", '{"purpose":1}', "$.room.user_id"),
        ("create", "[]", "$.room"),
        ("join", "[]", "TypeError"),
        ("leave", "{", "JSONDecodeError"),
    ],
)
async def test_a_row_that_cannot_be_read_keeps_its_place_and_says_why(
    store: Store, path: Path, kind: str, payload: str, problem: str
) -> None:
    insert(path, kind, payload)
    [later] = await store.commit(
        Commit(outbox=(JoinRow(transaction_id=TransactionId("t2"), room_id=ROOM),))
    )

    [row, after] = await store.outbox.pending_rows()

    assert after == later
    assert isinstance(row, UnreadableRow)
    assert (row.transaction_id, row.room_id, row.position) == ("t1", ROOM, 1)
    assert (row.kind, row.payload) == (kind, payload)
    assert problem in row.problem


async def test_a_row_that_cannot_be_read_can_be_parked_and_retried(
    store: Store, path: Path
) -> None:
    insert(path, "dance", "{}")
    [row] = await store.outbox.pending_rows()
    assert isinstance(row, UnreadableRow)

    await store.outbox.park_row(row, row.problem)

    [parked] = await store.parking.list_parked()
    assert parked.error == "dance: no such kind of effect: 'dance'"
    assert await store.outbox.pending_rows() == ()
    assert await store.parking.retry(EventId("t1"))
    assert await store.outbox.pending_rows() == (row,)
    assert stored(path) == [("dance", "{}")]
