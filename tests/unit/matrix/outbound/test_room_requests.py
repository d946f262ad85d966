"""Rooms that are asked for, at a homeserver whose faults are scripted."""

import asyncio

import pytest

from fsm.effects import NewRoom
from fsm.outbox import CreateRoomRow, UnreadableRow
from fsm.values.ids import RoomId, TransactionId, UserId
from matrix import Homeserver, Refused, RoomCreator, RoomStyle
from matrix.outbound.delivery import MAX_ROOM_CREATIONS
from tests.support.fakes.homeserver import BOT, Answer, ScriptedHomeserver
from tests.support.limits import HANGS_SECONDS
from tests.support.sync_answers import ALICE, Harbour, send

MADE = Answer(body={"room_id": "!made"})
TAKEN = Answer(400, {"errcode": "M_ROOM_IN_USE", "error": "Room alias already taken"})
FOUND = Answer(body={"room_id": "!found", "servers": ["test"]})
HERE = Answer(body={"membership": "join"})
GONE = Answer(body={"membership": "leave"})
NAMED = Answer(body={"name": "Chat 1"})
UNSET = Answer(404, {"errcode": "M_NOT_FOUND", "error": "Event not found."})
OUTSIDE = Answer(403, {"errcode": "M_FORBIDDEN", "error": "User not in room"})


def wish(user_id: str = ALICE, purpose: str = "chat:C1") -> NewRoom:
    return NewRoom(
        user_id=UserId(user_id), asked_in=RoomId("!lobby"), purpose=purpose, name="Chat 1"
    )


def row(wished: NewRoom) -> CreateRoomRow:
    return CreateRoomRow(
        transaction_id=TransactionId(f"t {wished.user_id}"),
        room_id=RoomId(f"rooms of {wished.user_id}"),
        room=wished,
    )


def maker(homeserver: Homeserver, *, unfinished_seconds: float = 0.0) -> RoomCreator:
    return RoomCreator(
        homeserver,
        RoomStyle(),
        secret="s",  # noqa: S106  # of no use to anybody
        unfinished_seconds=unfinished_seconds,
    )


async def test_a_homeserver_that_limits_new_rooms_is_waited_for(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    limit = Answer(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 30})
    await server.script("createRoom", limit, Answer(502, b""), limit, MADE)

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([row(wish())])
        await harbour.delivery.drained()

    assert harbour.made == [(row(wish()), "!made", "")]
    bodies = [request.body for request in server.asked("createRoom")]
    assert len(bodies) == 4
    assert len({body["room_alias_name"] for body in bodies}) == 1
    assert "invite" not in bodies[0]


async def test_a_room_that_is_refused_for_good_is_told_in_the_homeservers_words(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    no = Answer(403, {"errcode": "M_FORBIDDEN", "error": "You may not make rooms here"})
    await server.script("createRoom", no, MADE)

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([row(wish()), send("on we go", "t2", row(wish()).room_id)])
        await harbour.delivery.drained()

    [(_, room_id, problem)] = harbour.made
    assert room_id is None
    assert "You may not make rooms here" in problem
    assert (harbour.parked, [r.transaction_id for r, _ in harbour.delivered]) == ([], ["t2"])


async def test_an_alias_that_another_request_took_a_moment_before_leads_to_its_room(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    conflict = {"errcode": "M_UNKNOWN", "error": "Room alias #x:test already exists"}
    await server.script("createRoom", Answer(409, conflict))
    await server.script("directory", FOUND)
    await server.script("rooms.state", HERE, NAMED)

    assert await maker(homeserver).make(wish()) == "!found"


async def test_an_answer_that_was_lost_leads_to_the_room_that_was_made(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("createRoom", Answer(fault="reset"), TAKEN)
    await server.script("directory", FOUND)
    await server.script("rooms.state", HERE, NAMED)

    assert await homeserver.retry(lambda: maker(homeserver).make(wish())) == "!found"

    assert [r.method for r in server.asked("directory")] == ["GET"]


async def test_a_room_that_is_still_being_made_is_waited_for_and_adopted(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """A homeserver goes on making a room when the one who asked for it has died."""
    await server.script("createRoom", TAKEN)
    await server.script("directory", FOUND)
    await server.script("rooms.state", OUTSIDE, HERE, UNSET, HERE, NAMED)

    assert await maker(homeserver, unfinished_seconds=30).make(wish()) == "!found"

    assert len(server.asked("createRoom")) == 1
    assert [r.method for r in server.asked("directory")] == ["GET"]


@pytest.mark.parametrize("state", [[HERE, UNSET], [OUTSIDE], [UNSET]])
async def test_a_room_that_is_never_finished_gives_up_its_alias(
    server: ScriptedHomeserver, homeserver: Homeserver, state: list[Answer]
) -> None:
    await server.script("createRoom", TAKEN, MADE)
    await server.script("directory", FOUND)
    await server.script("rooms.state", *state * 2)

    assert await maker(homeserver).make(wish()) == "!made"

    assert [r.method for r in server.asked("directory")] == ["GET", "DELETE"]


async def test_a_room_that_the_bot_has_left_gives_up_its_alias_at_once(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("createRoom", TAKEN, MADE)
    await server.script("directory", FOUND)
    await server.script("rooms.state", GONE, NAMED)

    async with asyncio.timeout(HANGS_SECONDS):
        assert await maker(homeserver, unfinished_seconds=600).make(wish()) == "!made"


async def test_an_alias_that_is_taken_again_meanwhile_is_looked_at_again(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("createRoom", TAKEN, TAKEN)
    await server.script("directory", FOUND, Answer(), FOUND)
    await server.script("rooms.state", GONE, HERE, NAMED)

    assert await maker(homeserver).make(wish()) == "!found"


async def test_an_alias_that_nothing_frees_is_given_up_after_some_tries(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("createRoom", *[TAKEN] * 9)
    await server.script("directory", *[UNSET] * 18)

    with pytest.raises(Refused, match="M_ROOM_IN_USE"):
        await maker(homeserver).make(wish())

    assert len(server.asked("createRoom")) < 9


class SlowMaker(RoomCreator):
    """Counts how many rooms are being made at once."""

    now = most = 0

    async def make(self, wish: NewRoom) -> RoomId:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.005)
        self.now -= 1
        return RoomId(f"!of {wish.user_id}")


async def test_five_hundred_wishes_at_once_are_met_a_few_at_a_time(homeserver: Homeserver) -> None:
    slow = SlowMaker(homeserver, RoomStyle(), secret="s")  # noqa: S106  # of no use to anybody
    harbour = Harbour(homeserver)
    harbour.delivery = harbour.new_delivery(room_creator=slow)
    people = [f"@user{number}:test" for number in range(500)]

    async with harbour.at_work(intake=False):
        harbour.delivery.submit(row(wish(person)) for person in people)
        await harbour.delivery.drained()

    assert slow.most == MAX_ROOM_CREATIONS
    assert {room_id for _, room_id, _ in harbour.made} == {f"!of {person}" for person in people}


async def test_a_wish_that_makes_no_sense_is_parked(homeserver: Homeserver) -> None:
    senseless = UnreadableRow(
        transaction_id=TransactionId("t1"),
        room_id=RoomId("rooms of nobody"),
        kind="create",
        payload='{"purpose": 1}',
        problem="required field missing",
    )

    async with Harbour(homeserver).at_work(intake=False) as harbour:
        harbour.delivery.submit([senseless])
        await harbour.delivery.drained()

    assert harbour.parked == [(senseless, "required field missing")]
    assert harbour.made == []


async def test_the_server_of_a_space_is_that_of_the_bot(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """Rooms of version 12 have ids without a server."""
    await server.script("createRoom", MADE)
    space = RoomId("!opaque")

    await maker(homeserver).make(
        NewRoom(
            user_id=UserId(ALICE),
            asked_in=RoomId("!lobby"),
            purpose="chat:C1",
            name="x",
            space_id=space,
        )
    )

    [request] = server.asked("createRoom")
    parents = [s for s in request.body["initial_state"] if s["type"] == "m.space.parent"]
    via = BOT.partition(":")[2]
    assert [(s["state_key"], s["content"]["via"]) for s in parents] == [(space, [via])]
