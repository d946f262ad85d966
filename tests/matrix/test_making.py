"""Rooms at a real homeserver: made once, whatever happened before."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from attrs import asdict, evolve

from fsm.effects import NewRoom
from fsm.ids import RoomId, TransactionId
from matrix import Homeserver, HomeserverSettings, Refused, RoomMaker, RoomStyle
from matrix.making import alias_of
from matrix.text import message_content
from strandline.testing import Person, Synapse
from tests.matrix.kit import Harbour, send

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


def maker(homeserver: Homeserver, style: RoomStyle | None = None) -> RoomMaker:
    return RoomMaker(homeserver, style or RoomStyle(), secret=SECRET)


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

    other = RoomMaker(homeserver, RoomStyle(), secret="drawn anew")  # noqa: S106

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

    whole = await maker(homeserver).make(chat_of(alice))

    assert whole != half
    assert await homeserver.rooms.find_alias(alias) == whole


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
        making = send("", "t1", RoomId("rooms of alice"), kind="create", payload=asdict(wish))
        harbour.delivery.submit([making])
        await harbour.delivery.flushed()
        [(row, room, problem)] = harbour.made
        assert (row, problem) == (making, "")
        assert room is not None
        topic = {"type": "m.room.topic", "state_key": "", "content": {"topic": "tides"}}
        edit = message_content("new", transaction_id=TransactionId("t5"))
        harbour.delivery.submit(
            [
                send("", "t2", room, kind="invite", payload={"user_id": alice.user_id}),
                send("", "t3", room, kind="state", payload=topic),
                send("old", "t4", room),
                send("", "t5", room, kind="edit", payload=_edit("t4", edit)),
            ]
        )
        await harbour.delivery.flushed()
        harbour.delivery = harbour.new_delivery()  # of another life, which remembers nothing
    async with harbour.at_work(intake=False):
        edit = message_content("newer", transaction_id=TransactionId("t6"))
        harbour.delivery.submit(
            [
                send("", "t6", room, kind="edit", payload=_edit("t4", edit)),
                send("", "t7", room, kind="edit", payload=_edit("never sent", edit)),
            ]
        )
        await harbour.delivery.flushed()

    await alice.join(room)
    assert await alice.state(room, "m.room.topic") == {"topic": "tides"}
    assert [(e.body, e.edits) for e in await alice.timeline(room)] == [("newer", 2)]
    assert harbour.parked == []


def _edit(sent_as: str, content: dict[str, object]) -> dict[str, object]:
    new = {key: content[key] for key in ("msgtype", "body")}
    return {"sent_as": sent_as, "content": content | {"m.new_content": new}}
