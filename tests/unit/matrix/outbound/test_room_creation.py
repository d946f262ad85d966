"""Rooms at a real homeserver: made once, whatever happened before."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from fsm.effects import NewRoom
from fsm.outbox import CreateRoomRow, EditRow, InviteRow, StateRow
from fsm.values.ids import EventId, RoomId, TransactionId
from fsm.values.messages import QuestionRef
from matrix import Homeserver, HomeserverSettings, Receipts, Refused, RoomCreator, RoomStyle
from matrix.api.http import endpoint
from matrix.outbound.messages import message_content, reaction_content
from matrix.outbound.room_creation import alias_of
from strandline.testing import Person, Synapse
from tests.support.limits import HANGS_SECONDS
from tests.support.sync_answers import Harbour, send

pytestmark = pytest.mark.homeserver

SECRET = "known to nobody else"
_numbers = count()


@pytest.fixture
async def homeserver(synapse: Synapse, tmp_path: Path) -> AsyncIterator[Homeserver]:
    account = synapse.register(f"maker{next(_numbers)}")
    settings = HomeserverSettings(
        url=synapse.url, user_id=account.user_id, password=account.password
    )
    async with Homeserver.connect(settings, tmp_path / "store") as homeserver:
        yield homeserver


@pytest.fixture
async def alice(synapse: Synapse) -> AsyncIterator[Person]:
    async with Person(synapse.url, synapse.register(f"guest{next(_numbers)}")) as person:
        yield person


def maker(homeserver: Homeserver, style: RoomStyle | None = None, **changes: float) -> RoomCreator:
    return RoomCreator(homeserver, style or RoomStyle(), secret=SECRET, **changes)


def space_of(alice: Person) -> NewRoom:
    return NewRoom(
        user_id=alice.user_id,
        asked_in=RoomId("!lobby"),
        purpose="space",
        name="Alice's space",
        is_space=True,
    )


def chat_of(alice: Person, space: RoomId | None = None) -> NewRoom:
    return evolve(space_of(alice), purpose="chat:C1", name="Чат 1", is_space=False, space_id=space)


async def test_a_space_and_a_chat_in_it_are_as_the_config_has_them(
    homeserver: Homeserver, alice: Person
) -> None:
    style = RoomStyle(
        encrypted=True, history_visibility="joined", space_avatar="mxc://strandline.test/picture"
    )
    rooms = homeserver.rooms

    space = await maker(homeserver, style).make(space_of(alice))
    chat = await maker(homeserver, style).make(chat_of(alice, space))

    created = await rooms.state(space, "m.room.create")
    assert created is not None
    assert created["type"] == "m.space"
    assert await rooms.state(space, "m.room.name") == {"name": "Alice's space"}
    assert await rooms.state(space, "m.room.avatar") == {"url": style.space_avatar}
    assert await rooms.state(space, "m.room.encryption") is None
    assert await rooms.state(chat, "m.room.name") == {"name": "Чат 1"}
    assert await rooms.state(chat, "m.room.avatar") is None
    assert await rooms.state(chat, "m.room.encryption") is not None
    parent = await rooms.state(chat, "m.space.parent", space)
    assert parent == {"via": ["strandline.test"], "canonical": True}
    for room in (space, chat):
        visibility = await rooms.state(room, "m.room.history_visibility")
        assert visibility == {"history_visibility": "joined"}
    assert await rooms.state(chat, "m.room.join_rules") == {
        "join_rule": "restricted",
        "allow": [{"type": "m.room_membership", "room_id": space}],
    }


async def test_who_is_in_the_space_may_enter_its_chats_and_nobody_else(
    homeserver: Homeserver, alice: Person, synapse: Synapse
) -> None:
    space = await maker(homeserver).make(space_of(alice))
    chat = await maker(homeserver).make(chat_of(alice, space))
    await homeserver.rooms.invite(space, alice.user_id)
    await alice.join(space)

    await alice.join(chat)

    assert await alice.members(chat) == {alice.user_id, homeserver.user_id}
    async with Person(synapse.url, synapse.register(f"guest{next(_numbers)}")) as stranger:
        with pytest.raises(Exception, match="403"):
            await stranger.join(chat)


async def test_the_same_wish_finds_the_same_room_and_another_makes_another(
    homeserver: Homeserver, alice: Person
) -> None:
    wish = chat_of(alice)

    first = await maker(homeserver).make(wish)
    again = await maker(homeserver).make(wish)
    other = await maker(homeserver).make(evolve(wish, purpose="chat:C2"))

    assert again == first
    assert other != first


async def test_a_new_database_finds_no_rooms_of_an_old_one(
    homeserver: Homeserver, alice: Person
) -> None:
    first = await maker(homeserver).make(chat_of(alice))

    other = RoomCreator(homeserver, RoomStyle(), secret="drawn anew")  # noqa: S106

    assert await other.make(chat_of(alice)) != first


async def test_a_room_that_the_bot_has_left_is_made_anew_for_the_same_wish(
    homeserver: Homeserver, alice: Person
) -> None:
    first = await maker(homeserver).make(chat_of(alice))
    await homeserver.leave(first)

    second = await maker(homeserver).make(chat_of(alice))

    assert second != first
    assert await maker(homeserver).make(chat_of(alice)) == second


async def test_a_room_that_was_left_half_made_is_made_anew(
    homeserver: Homeserver, alice: Person
) -> None:
    alias = alias_of(chat_of(alice), homeserver.user_id, SECRET)
    localpart = alias.partition(":")[0].removeprefix("#")
    half = await homeserver.rooms.create({"room_alias_name": localpart})

    whole = await maker(homeserver, unfinished_seconds=0.5).make(chat_of(alice))

    assert whole != half
    assert await homeserver.rooms.find_alias(alias) == whole


@pytest.mark.parametrize("died_after", [0.0, 0.02, 0.05, 0.08, 0.12, 0.2])
async def test_a_room_that_is_still_being_made_for_one_who_has_died_is_not_made_twice(
    homeserver: Homeserver, alice: Person, died_after: float
) -> None:
    dying = asyncio.ensure_future(maker(homeserver).make(chat_of(alice)))
    await asyncio.sleep(died_after)
    dying.cancel()
    await asyncio.wait([dying])

    room = await maker(homeserver).make(chat_of(alice))

    await asyncio.sleep(0.5)  # what was asked for first is done by now
    assert await joined_by(homeserver) == {room}
    assert await homeserver.rooms.state(room, "m.room.name") == {"name": "Чат 1"}


async def test_inviting_who_is_there_changes_nothing(homeserver: Homeserver, alice: Person) -> None:
    room = await maker(homeserver).make(chat_of(alice))

    await homeserver.rooms.invite(room, alice.user_id)
    await homeserver.rooms.invite(room, alice.user_id)
    await alice.join(room)
    await homeserver.rooms.invite(room, alice.user_id)

    assert await alice.membership(room, alice.user_id) == "join"


async def test_inviting_to_a_room_that_the_bot_has_left_is_refused(
    homeserver: Homeserver, alice: Person
) -> None:
    room = await maker(homeserver).make(chat_of(alice))
    await homeserver.leave(room)

    with pytest.raises(Refused):
        await homeserver.rooms.invite(room, alice.user_id)


async def test_more_than_two_are_a_group_as_soon_as_the_third_is_invited(
    homeserver: Homeserver, alice: Person, synapse: Synapse
) -> None:
    room = await maker(homeserver).make(chat_of(alice))
    await homeserver.rooms.invite(room, alice.user_id)
    alone = await homeserver.is_group(room)
    await homeserver.rooms.invite(room, synapse.register(f"guest{next(_numbers)}").user_id)
    homeserver.members_changed(room)

    assert (alone, await homeserver.is_group(room)) == (False, True)
    assert not await homeserver.is_group(RoomId("!unknown"))


async def test_delivery_makes_the_room_invites_sets_state_and_edits(
    homeserver: Homeserver, alice: Person
) -> None:
    harbour = Harbour(homeserver)
    wish = chat_of(alice)
    async with harbour.at_work(intake=False):
        making = CreateRoomRow(
            transaction_id=TransactionId("t1"), room_id=RoomId("rooms of alice"), room=wish
        )
        harbour.delivery.submit([making])
        await harbour.delivery.drained()
        [(row, room, problem)] = harbour.made
        assert (row, problem) == (making, "")
        assert room is not None
        harbour.delivery.submit(
            [
                InviteRow(transaction_id=TransactionId("t2"), room_id=room, user_id=alice.user_id),
                StateRow(
                    transaction_id=TransactionId("t3"),
                    room_id=room,
                    event_type="m.room.topic",
                    state_key="",
                    content={"topic": "tides"},
                ),
                send("old", "t4", room),
                _edit("t5", room, "new", of="t4"),
            ]
        )
        await harbour.delivery.drained()
        harbour.delivery = harbour.new_delivery()  # of another life, which remembers nothing
    async with harbour.at_work(intake=False):
        harbour.delivery.submit(
            [
                _edit("t6", room, "newer", of="t4"),
                _edit("t7", room, "newest", of="never sent"),
            ]
        )
        await harbour.delivery.drained()

    await alice.join(room)
    assert await alice.state(room, "m.room.topic") == {"topic": "tides"}
    assert [(e.body, e.edits) for e in await alice.timeline(room)] == [("newer", 2)]
    assert harbour.parked == []


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_question_is_known_for_one_in_the_next_life_too(
    synapse: Synapse,
    tmp_path: Path,
    alice: Person,
    encrypted: bool,  # noqa: FBT001
) -> None:
    account = synapse.register(f"maker{next(_numbers)}")
    settings = HomeserverSettings(
        url=synapse.url, user_id=account.user_id, password=account.password
    )
    mark = QuestionRef(flow="confirmation", id=EventId("$q"), life="l1", asker=alice.user_id)
    txn = TransactionId("t1")
    content = message_content("Sure?", transaction_id=txn, mark=mark)
    async with Homeserver.connect(settings, tmp_path / "asking") as homeserver:
        room = await maker(homeserver, RoomStyle(encrypted=encrypted)).make(chat_of(alice))
        assert await homeserver.is_encrypted(room) is encrypted
        asked = await homeserver.send(room, "m.room.message", content, txn)
        now = await Harbour(homeserver).reader.question_mark(room, asked)

    async with Homeserver.connect(settings, tmp_path / "asking") as homeserver:
        later = await Harbour(homeserver).reader.question_mark(room, asked)

    assert (now, later) == (mark, mark)


async def test_a_reaction_is_put_on_an_event_once(homeserver: Homeserver, alice: Person) -> None:
    room = await maker(homeserver).make(chat_of(alice))
    await homeserver.rooms.invite(room, alice.user_id)
    await alice.join(room)
    said = await alice.say(room, "hello")
    harbour = Harbour(homeserver)

    async with harbour.at_work(intake=False):
        for txn in (TransactionId("t1"), TransactionId("t2")):
            content = reaction_content("✅", about=said, transaction_id=txn)
            row = send("", txn, room, event_type="m.reaction", content=content)
            harbour.delivery.submit([row])
        await harbour.delivery.drained()

    assert harbour.parked == []
    assert await alice.reactions(room, said) == [(homeserver.user_id, "✅")]


async def test_what_is_read_and_written_is_seen_by_others(
    homeserver: Homeserver, alice: Person
) -> None:
    room = await maker(homeserver).make(chat_of(alice))
    await homeserver.rooms.invite(room, alice.user_id)
    await alice.join(room)
    said = await alice.say(room, "hello")
    courtesy = Receipts(homeserver)
    showing = asyncio.ensure_future(courtesy.run())

    courtesy.mark_read(room, said)
    with courtesy.typing(room):
        await shown(alice, room, "m.typing", lambda c: c["user_ids"] == [homeserver.user_id])
    await shown(alice, room, "m.typing", lambda c: c["user_ids"] == [])
    await shown(alice, room, "m.receipt", lambda c: homeserver.user_id in c[said]["m.read"])
    showing.cancel()


async def shown(
    alice: Person, room: RoomId, kind: str, expected: Callable[[dict[str, Any]], bool]
) -> None:
    """Wait until a person is shown this by a sync."""
    query = "timeout=0"
    async with asyncio.timeout(HANGS_SECONDS):
        while True:
            # a sync without a token would be answered from a cache
            sync = await alice.request("GET", f"/sync?{query}")
            seen = sync.get("rooms", {}).get("join", {}).get(room, {}).get("ephemeral", {})
            contents = [e["content"] for e in seen.get("events", []) if e["type"] == kind]
            if any(map(expected, contents)):
                return
            query = f"timeout=500&since={sync['next_batch']}"


async def joined_by(homeserver: Homeserver) -> set[RoomId]:
    """The rooms in which the bot is."""
    answer = await homeserver._http.request("GET", endpoint("joined_rooms"))  # noqa: SLF001
    return set(answer["joined_rooms"])


def _edit(transaction_id: str, room_id: RoomId, text: str, *, of: str) -> EditRow:
    txn = TransactionId(transaction_id)
    content = message_content(text, transaction_id=txn)
    new = {key: content[key] for key in ("msgtype", "body")}
    return EditRow(
        transaction_id=txn,
        room_id=room_id,
        content=content | {"m.new_content": new},
        sent_as=TransactionId(of),
    )
