"""The shore at a real homeserver, whose default room version is 12 (ids without a server)."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from attrs import evolve

from fsm.effects import transaction_id
from fsm.outbox import JoinRow
from fsm.values.ids import RoomId, SyncToken, TransactionId
from fsm.values.inbound import EventKind
from matrix import Homeserver, HomeserverSettings
from matrix.inbound.room_checks import invite_of
from matrix.outbound.messages import message_content
from strandline.testing import Credentials, Person, Synapse
from tests.support.encrypted import EncryptedPerson
from tests.support.sync_answers import Harbour, send

pytestmark = pytest.mark.homeserver

_numbers = count()


@pytest.fixture
def account(synapse: Synapse) -> Credentials:
    return synapse.register(f"shore{next(_numbers)}")


@pytest.fixture
async def alice(synapse: Synapse) -> AsyncIterator[Person]:
    async with Person(synapse.url, synapse.register(f"walker{next(_numbers)}")) as person:
        yield person


class Bot:
    """One account whose lives follow one another, each from the token where the last one ended."""

    def __init__(self, synapse: Synapse, account: Credentials, folder: Path) -> None:
        self.settings = HomeserverSettings(
            url=synapse.url, user_id=account.user_id, password=account.password
        )
        self.folder = folder
        self.since: SyncToken | None = None

    async def live(self, until: str, *, since: SyncToken | None = None) -> Harbour:
        """Live until somebody has written ``until``; join where invited."""
        async with Homeserver.connect(self.settings, self.folder) as homeserver:
            async with Harbour(homeserver, since=since or self.since).at_work() as harbour:
                await harbour.until(
                    lambda: self._accept(harbour) and until in harbour.bodies[: harbour.taken]
                )
            self.since = harbour.since
            return harbour

    async def begin(self) -> None:
        """A first sync, which answers nothing."""
        async with Homeserver.connect(self.settings, self.folder) as homeserver:
            async with Harbour(homeserver, since=None).at_work() as harbour:
                await harbour.until(lambda: harbour.ready)
            self.since = harbour.since

    def _accept(self, harbour: Harbour) -> bool:
        invites = [i.room_id for i in harbour.arrived if i.kind is EventKind.INVITED]
        harbour.delivery.submit([join(room_id) for room_id in invites])
        return True


def join(room_id: RoomId) -> JoinRow:
    return JoinRow(transaction_id=TransactionId(f"join.{room_id}"), room_id=room_id)


def texts(harbour: Harbour) -> list[str]:
    return [inbound.body for inbound in harbour.arrived if inbound.kind is EventKind.TEXT]


@pytest.fixture
async def bot(synapse: Synapse, account: Credentials, tmp_path: Path) -> Bot:
    bot = Bot(synapse, account, tmp_path / "store")
    await bot.begin()
    return bot


async def enter(bot: Bot, alice: Person) -> RoomId:
    room_id = await alice.create_room(invite=[bot.settings.user_id])
    await alice.say(room_id, "welcome")
    await bot.live("welcome")
    return room_id


async def test_a_gap_of_several_pages_arrives_once_and_in_order(bot: Bot, alice: Person) -> None:
    room_id = await enter(bot, alice)
    before = bot.since
    for start in range(0, 350, 10):
        await asyncio.gather(*(alice.say(room_id, f"m{n}") for n in range(start, start + 10)))
    await alice.say(room_id, "the end")

    first = await bot.live("the end")
    again = await bot.live("the end", since=before)

    written = [e.body for e in await alice.timeline(room_id)][-351:]
    assert len(set(written)) == 351
    assert texts(first) == written
    assert texts(again) == written


async def test_what_was_edited_or_taken_back_between_two_lives_that_ask_from_one_token_is_told(
    bot: Bot, alice: Person
) -> None:
    room, since = await enter(bot, alice), bot.since
    sent = [await alice.say(room, text) for text in ("edited", "taken back", "last")]
    first = await bot.live("last", since=since)
    edit = await alice.edit(room, sent[0], "as it now reads")
    redaction = await alice.redact(room, sent[1])

    second = await bot.live("last", since=since)

    assert texts(first) == ["edited", "taken back", "last"]
    assert second.batches[0].next != first.batches[0].next
    assert {a.event_id for a in second.amendments} == {edit, redaction}


async def test_gaps_of_many_rooms_are_filled_each(bot: Bot, alice: Person) -> None:
    rooms = [await enter(bot, alice) for _ in range(4)]
    for n in range(110):
        await asyncio.gather(*(alice.say(room, f"{k}.{n}") for k, room in enumerate(rooms)))
    await alice.say(rooms[0], "the end")

    harbour = await bot.live("the end")

    for k, room in enumerate(rooms):
        arrived = [i.body for i in harbour.arrived if i.room_id == room and i.body != "the end"]
        assert arrived == [f"{k}.{n}" for n in range(110)]


@pytest.mark.parametrize("between", [3, 150])
async def test_what_was_written_between_invite_and_join_is_answered_and_nothing_older(
    bot: Bot, alice: Person, between: int
) -> None:
    room_id = await alice.create_room()
    for n in range(120):
        await alice.say(room_id, f"old{n}")
    await alice.invite(room_id, bot.settings.user_id)
    for n in range(between):
        await alice.say(room_id, f"new{n}")

    harbour = await bot.live(f"new{between - 1}")

    assert texts(harbour) == [f"new{n}" for n in range(between)]
    assert harbour.arrived[0].kind is EventKind.INVITED


async def test_a_join_that_lies_far_back_is_read_from_the_invite_on(
    bot: Bot, alice: Person
) -> None:
    before = bot.since
    room_id = await enter(bot, alice)
    for n in range(130):
        await alice.say(room_id, f"m{n}")

    harbour = await bot.live("m129", since=before)

    assert texts(harbour) == ["welcome", *(f"m{n}" for n in range(130))]
    assert [i.kind for i in harbour.arrived].count(EventKind.JOINED) == 1


async def test_encrypted_rooms_are_read_and_written_also_after_a_restart(
    synapse: Synapse, bot: Bot, tmp_path: Path
) -> None:
    credentials = synapse.register(f"walker{next(_numbers)}")
    before = bot.since
    alice = await EncryptedPerson.arrive(
        synapse.url, credentials.user_id, credentials.password, tmp_path / "alice"
    )
    room_id = await alice.create_room([bot.settings.user_id])
    await bot_joins(bot, room_id)
    await alice.say(room_id, "one")
    first = await bot.live("one")
    again = await bot.live("one", since=before)
    for n in range(105):
        await alice.say(room_id, f"gap{n}")
    gap = await bot.live("gap104")
    await reply(bot, room_id, "ответ")

    assert "ответ" in [seen.body for seen in await alice.timeline(room_id)]
    assert texts(first)[-1] == texts(again)[-1] == "one"
    assert texts(gap) == [f"gap{n}" for n in range(105)]
    await alice.close()


async def test_a_repeat_after_the_device_was_forgotten_shows_once(bot: Bot, alice: Person) -> None:
    room_id = await enter(bot, alice)
    await reply(bot, room_id, "once")
    async with Homeserver.connect(bot.settings, bot.folder) as homeserver:
        await homeserver._http.request("POST", "/_matrix/client/v3/logout")  # noqa: SLF001

    await reply(bot, room_id, "once", is_old=True)

    assert [e.body for e in await alice.timeline(room_id)].count("once") == 1


async def bot_joins(bot: Bot, room_id: RoomId) -> None:
    async with Homeserver.connect(bot.settings, bot.folder) as homeserver:
        await homeserver.join(room_id)


async def reply(bot: Bot, room_id: RoomId, text: str, *, is_old: bool = False) -> None:
    txn = transaction_id("$question", text)  # type: ignore[arg-type]
    content = message_content(text, transaction_id=txn)
    row = send("", txn, room_id, content=content)
    row = evolve(row, created_at_ms=1 if is_old else 0)
    async with (
        Homeserver.connect(bot.settings, bot.folder) as homeserver,
        Harbour(homeserver).at_work(intake=False) as harbour,
    ):
        harbour.delivery.submit([row])
        await harbour.delivery.drained()


async def test_a_room_says_who_invited_the_bot(
    synapse: Synapse, account: Credentials, alice: Person, tmp_path: Path
) -> None:
    bot = Bot(synapse, account, tmp_path)
    await bot.begin()
    room = await alice.create_room(invite=[account.user_id])
    own = RoomId((await alice.request("POST", "/createRoom", {"preset": "public_chat"}))["room_id"])
    await alice.say(room, "hello")
    await bot.live("hello")

    async with Homeserver.connect(bot.settings, bot.folder) as homeserver:
        await homeserver.join(own)
        invited, uninvited = [await invite_of(homeserver, place) for place in (room, own)]

    assert invited is not None
    assert (invited.sender, uninvited) == (alice.user_id, None)
