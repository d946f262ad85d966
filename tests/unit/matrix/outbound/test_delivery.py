import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from structlog.testing import capture_logs

from fsm.outbox import (
    EditRow,
    JoinRow,
    LeaveRow,
    OutboxRow,
    ReportTo,
    SendRow,
    StateRow,
    UnreadableRow,
)
from fsm.values.ids import EventId, PlatformChatId, RoomId, TransactionId, UserId
from fsm.values.messages import AnswerRef
from fsm.values.retry import RetryPolicy
from matrix import Homeserver
from matrix.outbound.delivery import MAX_BACKLOG, TRANSACTION_ID_LIFETIME_MS
from matrix.outbound.messages import edit_content, message_content, reaction_content
from tests.support.fakes.homeserver import BOT, Answer, ScriptedHomeserver
from tests.support.limits import HANGS_SECONDS
from tests.support.sync_answers import ALICE, ROOM, Harbour, Json, send, settings, text

OTHER = RoomId("!other")


async def test_rows_of_a_room_leave_in_order_and_are_told(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    rows = [send(str(n), f"t{n}") for n in range(5)]

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit(rows)
        await harbour.delivery.drained()

    assert server.bodies(ROOM) == ["0", "1", "2", "3", "4"]
    assert harbour.delivered == [(row, f"$sent{n}") for n, row in enumerate(rows)]


async def test_rows_that_were_owed_before_the_start_leave_too(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    harbour = Harbour(homeserver)
    harbour.delivery.submit([send("a", "t1"), send("b", "t2", OTHER)])

    async with harbour.at_work(intake=False):
        await harbour.delivery.drained()

    assert (server.bodies(ROOM), server.bodies(OTHER)) == (["a"], ["b"])


@pytest.mark.parametrize(
    "fault",
    [
        [Answer(502, b"<html>")] * 3,
        [Answer(fault="reset", done=True)] * 2,
        [Answer(200, {"event_id": "$x", "f": "y" * 999}, fault="truncate", done=True)] * 2,
        [Answer(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 30})],
        [Answer(429, b"", {"Retry-After": "0"})],
        [Answer(200, {})],
        [Answer(401, {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"})],
    ],
)
async def test_what_can_be_tried_again_is_and_shows_once(
    server: ScriptedHomeserver, homeserver: Homeserver, fault: list[Answer]
) -> None:
    await server.script("rooms.send", *fault)

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("1", "t1"), send("2", "t2")])
        await harbour.delivery.drained()

    assert server.bodies(ROOM) == ["1", "2"]
    assert {r.path.rsplit("/", 1)[1] for r in server.asked("rooms.send")} == {"t1", "t2"}
    assert not harbour.parked


@pytest.mark.parametrize(
    "answer",
    [
        Answer(403, {"errcode": "M_FORBIDDEN", "error": "not in the room"}),
        Answer(404, {"errcode": "M_NOT_FOUND"}),
        Answer(400, {"errcode": "M_BAD_JSON"}),
        Answer(413, b"<html>"),
        Answer(413, {"errcode": "M_TOO_LARGE", "error": "event too large"}),
    ],
)
async def test_what_can_never_succeed_is_parked_and_the_room_goes_on(
    server: ScriptedHomeserver, homeserver: Homeserver, answer: Answer
) -> None:
    await server.script("rooms.send", answer)

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("never", "t1"), send("next", "t2")])
        await harbour.delivery.drained()

    assert [(row.transaction_id, str(answer.status) in error) for row, error in harbour.parked] == [
        ("t1", True)
    ]
    assert server.bodies(ROOM) == ["next"]


UNREADABLE = UnreadableRow(
    transaction_id=TransactionId("t1"), room_id=ROOM, kind="dance", payload="{}", problem="no kind"
)


@pytest.mark.parametrize(
    ("row", "kind"), [(UNREADABLE, "dance"), (send("odd", "t1", event_type=1), "send")]
)
async def test_a_row_that_makes_no_sense_is_parked(
    server: ScriptedHomeserver, homeserver: Homeserver, row: OutboxRow, kind: str
) -> None:
    with capture_logs() as logs:
        async with Harbour(homeserver).at_work(intake=False) as harbour:
            harbour.delivery.submit([row, send("next", "t2")])
            await harbour.delivery.drained()

    assert [log["kind"] for log in logs if log["event"] == "an effect is parked"] == [kind]
    assert [row.transaction_id for row, _ in harbour.parked] == ["t1"]
    assert server.bodies(ROOM) == ["next"]


async def test_a_room_in_trouble_delays_no_other(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("rooms.send", Answer(429, {"retry_after_ms": 60_000}))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("stuck", "t1")])
        await harbour.until(lambda: server.asked("rooms.send"))
        harbour.delivery.submit([send("through", "t2", OTHER)])
        await harbour.until(lambda: harbour.delivered)

    assert server.bodies(OTHER) == ["through"]


async def test_a_row_that_is_submitted_twice_is_sent_once(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("a", "t1"), send("a", "t1")])
        harbour.delivery.submit([send("a", "t1")])
        await harbour.delivery.drained()

    assert len(server.asked("rooms.send")) == 1


async def test_joining_and_leaving(server: ScriptedHomeserver, homeserver: Homeserver) -> None:
    await server.script("rooms.join", Answer(502, b""), Answer())
    await server.script("rooms.leave", Answer(403, {"errcode": "M_FORBIDDEN", "error": "not in"}))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([join("t1"), send("hello", "t2"), leave("t3")])
        await harbour.delivery.drained()

    assert [event_id for _, event_id in harbour.delivered] == [None, "$sent0", None]


async def test_an_invite_that_was_taken_back_is_parked(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("rooms.join", Answer(403, {"errcode": "M_FORBIDDEN"}))
    await server.script("rooms.leave", Answer(400, {"errcode": "M_UNKNOWN"}))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([join("t1"), leave("t2")])
        await harbour.delivery.drained()

    assert [type(row) for row, _ in harbour.parked] == [JoinRow, LeaveRow]


def old(row: SendRow) -> SendRow:
    """The row as it would be if it had been stored long ago."""
    return evolve(row, created_at_ms=1)


@pytest.mark.parametrize("mark", ["content", "unsigned", "nowhere", "foreign", "third page"])
async def test_a_late_repeat_is_looked_for_in_the_room_first(
    server: ScriptedHomeserver, homeserver: Homeserver, mark: str
) -> None:
    ours = text("mine", "$ours", sender=BOT)
    if mark == "unsigned":
        ours["unsigned"] = {"transaction_id": "t1"}
    if mark in ("content", "third page", "foreign"):
        ours["content"]["org.strandline.turn"] = "t1"
    if mark == "foreign":
        ours["sender"] = "@mallory:test"
    pages = [Answer(body={"chunk": [text("x")], "end": f"b{n}"}) for n in range(2)]
    await server.script("rooms.messages", *(pages if mark == "third page" else []))
    await server.script("rooms.messages", Answer(body={"chunk": [text("x"), ours]}))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([old(send("mine", "t1"))])
        await harbour.delivery.drained()

    known = mark not in ("nowhere", "foreign")
    assert harbour.delivered[0][1] == ("$ours" if known else "$sent0")
    assert len(server.asked("rooms.send")) == (0 if known else 1)


async def test_the_look_back_is_bounded_and_a_closed_room_is_no_obstacle(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    pages = [Answer(body={"chunk": [], "end": f"b{n}"}) for n in range(5)]
    await server.script("rooms.messages", *pages, Answer(403, {"errcode": "M_FORBIDDEN"}))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([old(send("1", "t1")), old(send("2", "t2"))])
        await harbour.delivery.drained()

    assert server.bodies(ROOM) == ["1", "2"]
    assert len(server.asked("rooms.messages")) == 6


async def test_after_a_new_login_an_uncertain_try_is_looked_for(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """The homeserver drops a revoked device, and with it the device's transaction ids."""
    arrived = text("mine", "$arrived", sender=BOT, **{"org.strandline.turn": "t1"})
    unknown = {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"}
    await server.script("rooms.state", Answer(404, {"errcode": "M_NOT_FOUND"}))
    await server.script("rooms.send", Answer(502, b""), Answer(401, unknown))
    await server.script("rooms.messages", Answer(body={"chunk": [arrived]}))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("mine", "t1")])
        await harbour.delivery.drained()

    assert harbour.delivered[0][1] == "$arrived"
    assert len(server.asked("rooms.send")) == 2


async def test_a_row_from_before_the_last_login_is_looked_for_by_every_later_process(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    row = send("mine", "t1")
    await server.script("rooms.messages", Answer(body={"chunk": []}))
    now_ms = homeserver.logged_in_at_ms
    recent = datetime.fromtimestamp((now_ms + 1000) / 1000, UTC)
    harbour = Harbour(homeserver)
    harbour.delivery = harbour.new_delivery(now=lambda: recent)

    async with harbour.at_work(intake=False):
        harbour.delivery.submit([evolve(row, created_at_ms=now_ms - 1)])
        harbour.delivery.submit([evolve(send("new", "t2"), created_at_ms=now_ms + 1)])
        await harbour.delivery.drained()

    assert len(server.asked("rooms.messages")) == 1
    assert len(server.asked("rooms.send")) == 2


@pytest.mark.parametrize("age_ms", [TRANSACTION_ID_LIFETIME_MS + 1, -1])
async def test_a_row_that_grows_old_while_it_is_tried_is_looked_for(
    server: ScriptedHomeserver, homeserver: Homeserver, age_ms: int
) -> None:
    ours = text("mine", "$ours", sender=BOT, **{"org.strandline.turn": "t1"})
    await server.script("rooms.state", Answer(404, {"errcode": "M_NOT_FOUND"}))
    await server.script("rooms.messages", Answer(body={"chunk": [ours]}))
    created = homeserver.logged_in_at_ms + 1
    later = datetime.fromtimestamp((created + age_ms) / 1000, UTC)
    harbour = Harbour(homeserver)
    harbour.delivery = harbour.new_delivery(now=lambda: later)

    async with harbour.at_work(intake=False):
        harbour.delivery.submit([evolve(send("mine", "t1"), created_at_ms=created)])
        await harbour.delivery.drained()

    assert harbour.delivered[0][1] == "$ours"
    assert server.asked("rooms.send") == []


async def test_a_room_that_is_owed_much_eases_only_when_rows_have_left(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    harbour = Harbour(homeserver)
    harbour.delivery.submit([send(str(n), f"t{n}") for n in range(MAX_BACKLOG + 2)])
    other = asyncio.ensure_future(harbour.delivery.wait_for_backlog(RoomId("!other")))
    waiting = asyncio.ensure_future(harbour.delivery.wait_for_backlog(ROOM))
    await asyncio.sleep(0.01)
    assert (other.done(), waiting.done()) == (True, False)

    async with harbour.at_work(intake=False):
        await asyncio.wait_for(waiting, HANGS_SECONDS)
        await harbour.delivery.drained()

    assert len(server.asked("rooms.send")) == MAX_BACKLOG + 2


async def test_a_passing_edit_is_tried_once_and_keeps_quiet_when_asked_to(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    now = [0.0]
    harbour = Harbour(homeserver)
    harbour.delivery = harbour.new_delivery(lambda: now[0])
    await server.script("rooms.send", Answer(502, b""), Answer(429, {"retry_after_ms": 5000}))
    outcomes = []
    for number, clock in enumerate([0.0, 0.0, 1.0, 6.0]):
        now[0] = clock
        txn = TransactionId(f"t{number}")
        content = message_content(str(number), transaction_id=txn)
        outcomes.append(await harbour.delivery.send_now(ROOM, content, txn))

    assert outcomes == [False, False, False, True]
    assert server.bodies(ROOM) == ["3"]


async def test_a_reaction_that_is_there_already_is_done(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    content = reaction_content("✅", about=EventId("$q"), transaction_id=TransactionId("t1"))
    there = Answer(400, {"errcode": "M_DUPLICATE_ANNOTATION", "error": "Can't send twice"})
    await server.script("rooms.send", there, there)
    row = send("", "t1", event_type="m.reaction", content=content)

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([row, send("no reaction", "t2")])
        await harbour.delivery.drained()

    assert harbour.delivered == [(row, None)]
    assert [parked.transaction_id for parked, _ in harbour.parked] == ["t2"]


async def test_nothing_is_sent_in_clear_to_an_encrypted_room(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    server.encrypted.add(ROOM)
    content = {"m.relates_to": {"rel_type": "m.annotation"}}
    reaction = send("r", "t2", event_type="m.reaction", content=content)

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([send("secret", "t1"), reaction])
        await harbour.delivery.drained()

    (_, first, content), (_, second, _) = server.contents
    assert (first, second) == ("m.room.encrypted", "m.reaction")
    assert "secret" not in str(content)


async def test_an_encrypted_room_is_known_after_a_restart(
    server: ScriptedHomeserver, tmp_path: Path
) -> None:
    server.encrypted.add(ROOM)
    for _ in range(2):
        async with Homeserver.connect(settings(server), tmp_path) as homeserver:
            assert await homeserver.is_encrypted(ROOM)

    assert len(server.asked("rooms.state")) == 1


def join(transaction_id: str) -> JoinRow:
    return JoinRow(transaction_id=TransactionId(transaction_id), room_id=ROOM)


def leave(transaction_id: str) -> LeaveRow:
    return LeaveRow(transaction_id=TransactionId(transaction_id), room_id=ROOM)


def answer(transaction_id: str, question: str, **changes: Any) -> SendRow:
    mark = AnswerRef(chat=PlatformChatId("1"), question=EventId(question))
    content = message_content("42", transaction_id=TransactionId(transaction_id), answer=mark)
    return send("42", transaction_id, content=content, **changes)


async def test_an_answer_whose_question_was_taken_back_while_it_waited_does_not_leave(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    harbour = Harbour(homeserver)
    harbour.delivery = harbour.new_delivery(taken_back=frozenset({"$gone"}))

    async with harbour.at_work(intake=False):
        harbour.delivery.submit([answer("t1", "$gone"), answer("t2", "$kept"), send("next", "t3")])
        await harbour.delivery.drained()

    assert server.bodies(ROOM) == ["42", "next"]
    first, sent = harbour.delivered[0]
    assert (first.transaction_id, sent) == ("t1", None)


@pytest.mark.parametrize(
    ("content", "leaves"), [({}, False), ({"msgtype": "m.text", "body": "how much"}, True)]
)
async def test_an_answer_of_an_earlier_life_leaves_after_a_look_at_its_question(
    server: ScriptedHomeserver, homeserver: Homeserver, content: Json, *, leaves: bool
) -> None:
    """The question may have been taken back while the bot was down."""
    await server.script("rooms.event", Answer(body=text("", "$q") | {"content": content}))
    harbour = Harbour(homeserver)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    harbour.delivery = harbour.new_delivery(now=lambda: created + timedelta(minutes=1))
    created_at_ms = int(created.timestamp() * 1000)

    async with harbour.at_work(intake=False):
        harbour.delivery.submit([answer("t1", "$q", created_at_ms=created_at_ms)])
        await harbour.delivery.drained()

    assert bool(server.bodies(ROOM)) is leaves
    assert not harbour.parked


async def test_an_answer_leaves_though_its_question_can_never_be_looked_at(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    homeserver.lookup_policy = RetryPolicy(
        first_wait_seconds=0.001, max_wait_seconds=0.01, max_seconds=0.5, max_attempts=6
    )
    await server.script("rooms.event", *[Answer(500, {"errcode": "M_UNKNOWN"})] * 1000)
    harbour = Harbour(homeserver)
    harbour.delivery = harbour.new_delivery(now=lambda: datetime.now(UTC) + timedelta(minutes=1))
    created_at_ms = int(datetime.now(UTC).timestamp() * 1000)

    async with harbour.at_work(intake=False), asyncio.timeout(60):
        harbour.delivery.submit([answer("t1", "$q", created_at_ms=created_at_ms)])
        await harbour.delivery.drained()

    assert server.bodies(ROOM) == ["42"]


HEAD = EventId("$head")


def edit(transaction_id: str, text: str, *, if_withdrawn: str = "") -> SendRow:
    """The last edit of an answer that has grown in ``HEAD``, to a question that was taken back."""
    txn = TransactionId(transaction_id)
    mark = AnswerRef(chat=PlatformChatId("1"), question=EventId("$gone"))
    content = edit_content(text, edits=HEAD, transaction_id=txn, answer=mark)
    empty = evolve(mark, is_empty=True)
    other = edit_content(if_withdrawn, edits=HEAD, transaction_id=txn, answer=empty)
    return send("", txn, content=content, if_withdrawn=other if if_withdrawn else None)


def unnamed(row: SendRow, *, edits: EventId | None = None) -> EditRow:
    """The same edit, written when its message was known only as what was sent as ``head``."""
    return EditRow(
        transaction_id=row.transaction_id,
        room_id=row.room_id,
        content=row.content,
        if_withdrawn=row.if_withdrawn,
        sent_as=TransactionId("head"),
        edits=edits,
    )


@pytest.mark.parametrize("is_named", [True, False])
async def test_an_edit_whose_question_was_taken_back_leaves_as_what_stands_for_it_instead(
    server: ScriptedHomeserver, homeserver: Homeserver, *, is_named: bool
) -> None:
    """The homeserver has named the head, or it is known only as what it was sent as."""
    harbour = Harbour(homeserver)
    harbour.delivery = harbour.new_delivery(taken_back=frozenset({"$gone"}))
    head = send("4", "head", stream_of=EventId("$gone"))
    named = edit("t1", "42", if_withdrawn="taken back")
    row = named if is_named else unnamed(named)

    async with harbour.at_work(intake=False):
        harbour.delivery.submit([head, row, send("next", "t2")])
        await harbour.delivery.drained()

    assert server.bodies(ROOM) == ["4", "* taken back", "next"]
    _, (edited, event_id), _ = harbour.delivered
    assert (edited, event_id) == (row, "$sent1")


async def test_an_edit_that_knows_its_message_does_not_look_for_it(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    row = unnamed(edit("t1", "42"), edits=EventId("$far back"))

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([row])
        await harbour.delivery.drained()

    assert server.bodies(ROOM) == ["* 42"]
    assert not server.asked("rooms.messages")


async def test_an_edit_with_nothing_to_stand_for_it_does_not_leave(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """Rows of an earlier release have nothing."""
    harbour = Harbour(homeserver)
    harbour.delivery = harbour.new_delivery(taken_back=frozenset({"$gone"}))

    async with harbour.at_work(intake=False):
        harbour.delivery.submit([edit("t1", "42"), send("next", "t2")])
        await harbour.delivery.drained()

    assert server.bodies(ROOM) == ["next"]


async def test_an_edit_that_says_that_its_question_was_taken_back_leaves(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    harbour = Harbour(homeserver)
    harbour.delivery = harbour.new_delivery(taken_back=frozenset({"$gone"}))
    row = edit("t1", "", if_withdrawn="taken back")
    assert row.if_withdrawn is not None
    said = evolve(row, content=row.if_withdrawn)

    async with harbour.at_work(intake=False):
        harbour.delivery.submit([said])
        await harbour.delivery.drained()

    assert server.bodies(ROOM) == ["* taken back"]


NAMING = StateRow(
    transaction_id=TransactionId("t1"),
    room_id=ROOM,
    event_type="m.room.name",
    state_key="",
    content={"name": "Tides"},
    report_to=ReportTo(room_id=ROOM, user_id=UserId(ALICE), about=EventId("$rename")),
)


@pytest.mark.parametrize("is_set", [True, False])
async def test_who_wants_to_hear_whether_a_state_is_set_hears_it_once_it_is_or_is_refused(
    server: ScriptedHomeserver, homeserver: Homeserver, *, is_set: bool
) -> None:
    refused = Answer(403, {"errcode": "M_FORBIDDEN"})
    await server.script("rooms.state", Answer(body={"event_id": "$set"}) if is_set else refused)

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([NAMING, send("next", "t2")])
        await harbour.delivery.drained()

    [(told, room_id, problem)] = harbour.made
    assert (told, room_id) == (NAMING, ROOM if is_set else None)
    assert ("M_FORBIDDEN" in problem) is not is_set
    assert not harbour.parked
    assert server.bodies(ROOM) == ["next"]
