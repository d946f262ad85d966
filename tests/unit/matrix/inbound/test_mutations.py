"""No JSON makes a reader raise: every field of everything that is read is replaced by anything.

``STRANDLINE_MUTATIONS`` says how many events are read; ``make mutations`` reads 200,000.
"""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from fsm.values.ids import EventId, SyncToken, TransactionId, UserId
from fsm.values.inbound import Inbound
from matrix import Homeserver, HomeserverReader, MessageChange, SyncLoop, TimelineGap, Transcript
from matrix.api.content import read_answer_ref, read_question_ref
from matrix.api.errors import Refused, Unreachable
from matrix.api.fields import MAX_ID_BYTES, MAX_INTEGER, decoded, mapping
from matrix.api.http import HomeserverHttp
from matrix.api.session import Login, Session
from matrix.crypto.olm import Crypto
from matrix.inbound.edits import amendments, parse_amendment
from matrix.inbound.parse import parse, parse_invite, parse_leave
from matrix.outbound.requests import find_sent_event
from tests.support.fakes.homeserver import BOT, ScriptedHomeserver
from tests.support.limits import HANGS_SECONDS
from tests.support.mutations import EVENTS, TO_DEVICE, mutated
from tests.support.sync_answers import ALICE, ROOM, Json
from tests.support.told import Told, sync_of
from tests.unit.matrix.crypto.test_olm import Alice

MUTATIONS = int(os.environ.get("STRANDLINE_MUTATIONS", "1000"))
SEED = int(os.environ.get("SEED", "1"))
EVENTS_A_ROUND = 10


class Life:
    """One bot's readers, before a homeserver that answers with anything."""

    def __init__(self, folder: Path) -> None:
        self.told = Told()
        self.crypto = Crypto(UserId(BOT), "DEVICE", folder)
        session = Session(user_id=UserId(BOT), device_id="DEVICE", access_token="t")  # noqa: S106
        http = cast("HomeserverHttp", self.told)
        self.homeserver = Homeserver(http, cast("Login", _NoLogin()), session, self.crypto)
        self.amended: list[MessageChange] = []
        self.reader = HomeserverReader(self.homeserver, amend=self.amended.append)
        self.sync = SyncLoop(self.homeserver, self.reader, since=SyncToken("s0"))

    async def reads(self, random: Random) -> None:
        """One round: some events, each alone, and all of them in every answer that brings any."""
        picked = [random.choice(EVENTS) for _ in range(EVENTS_A_ROUND)]
        hostile = [mutated(raw, random, times=random.choice((1, 1, 2, 3))) for raw in picked]
        for raw in hostile:
            read_alone(raw)
        read_rooms(hostile, random)
        self.told.random, self.told.events = random, hostile
        self.told.sync = sync_of(hostile, random)
        sync = mutated(self.told.sync, random)
        await self._syncs(sync)
        with suppress(Unreachable):
            await self._syncs(await self.homeserver.sync(SyncToken("s0"), 0))
        await self._reads_back()
        await self.homeserver.keys.exchange_keys()
        self._check()

    async def _syncs(self, sync: Json) -> None:
        if not isinstance(sync.get("next_batch"), str):
            return  # ``Homeserver.sync`` lets no such response through
        self.homeserver.receive(sync)
        batch = await self.sync._batch(sync)  # noqa: SLF001
        for item in batch.items:
            if isinstance(item, TimelineGap):
                async for inbound in self.reader.fill(item):
                    check(inbound)
            else:
                check(item.inbound)

    async def _reads_back(self) -> None:
        reader, event_id = self.reader, EventId("$q")
        for inbound in (
            await reader.event(ROOM, event_id),
            await reader.last_question(ROOM, UserId(ALICE)),
        ):
            if inbound is not None:
                check(inbound)
        await reader.question_mark(ROOM, event_id)
        self.homeserver.members_changed(ROOM)
        await reader.is_group(ROOM)
        await find_sent_event(self.homeserver, ROOM, TransactionId("t"))
        with suppress(Refused):
            async for exchange in Transcript(self.homeserver, ROOM).exchanges():
                check(exchange.question)
                exchange.answer.encode()

    def _check(self) -> None:
        for amendment in self.amended:
            for name in (amendment.target, amendment.event_id, amendment.sender):
                assert len(name.encode()) <= MAX_ID_BYTES
            (amendment.text or "").encode()
            assert 0 <= amendment.sent_at_ms <= MAX_INTEGER
        self.amended.clear()


class _NoLogin:
    """There is nothing to log in to."""

    count = 0
    keys_due = False

    async def whoami(self) -> Json:
        return {}


def read_alone(raw: Any) -> None:
    """The event by every reader of single events."""
    bot = UserId(BOT)
    inbound = parse(raw, room_id=ROOM, bot=bot)
    if inbound is not None:
        check(inbound)
    parse_amendment(raw, ROOM)
    tuple(amendments(mapping(raw), ROOM, lambda _, event: event))
    content = mapping(mapping(raw).get("content"))
    read_question_ref(content)
    read_answer_ref(content)


def read_rooms(hostile: list[Any], random: Random) -> None:
    """The events in an invite and in a room that was left."""
    for room in (
        {"invite_state": {"events": hostile}},
        {"state": {"events": hostile}, "timeline": {"events": hostile}},
    ):
        for part in (room, mutated(room, random)):
            check(parse_invite(ROOM, part, bot=UserId(BOT)))
            check(parse_leave(ROOM, part, bot=UserId(BOT)))


def check(inbound: Inbound) -> None:
    """What is read can be stored, and asked for."""
    ids = (inbound.event_id.removeprefix(f"invite:{inbound.room_id}:"), inbound.sender)
    for name in (*ids, inbound.about, inbound.thread):
        assert name is None or len(name.encode()) <= MAX_ID_BYTES
    inbound.body.encode()
    assert 0 <= inbound.sent_at_ms <= MAX_INTEGER
    for file in inbound.attachments:
        (file.name + file.mimetype + file.url).encode()
        assert 0 <= file.size_bytes <= MAX_INTEGER
        json.dumps(file.encryption, allow_nan=False, ensure_ascii=False).encode()


@pytest.fixture
def _silent_engine() -> Iterator[None]:
    """The crypto engine tells of each odd event at length."""
    logger = logging.getLogger("nio")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)


@pytest.mark.usefixtures("_silent_engine")
@pytest.mark.timeout(36_000)
async def test_no_json_makes_any_reader_raise(tmp_path: Path) -> None:
    life = Life(tmp_path)
    rounds = -(-MUTATIONS // EVENTS_A_ROUND)
    for number in range(rounds):
        with capture_logs():
            try:
                async with asyncio.timeout(HANGS_SECONDS):
                    await life.reads(Random(f"{SEED} {number}"))
            except Exception as error:
                error.add_note(f"round {number} of SEED={SEED}")
                raise
    life.crypto.close()
    print(f"\nmutations={rounds * EVENTS_A_ROUND} exceptions=0 seed={SEED}")


@pytest.mark.usefixtures("_silent_engine")
async def test_what_is_nested_as_deep_as_a_decoder_takes_is_read(tmp_path: Path) -> None:
    life, deep = Life(tmp_path), decoded(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}")
    assert deep is not None

    with capture_logs():
        for raw in EVENTS:
            content = mapping(raw["content"])
            for odd in (
                *(raw | {key: deep} for key in raw),
                *(raw | {"content": content | {key: deep}} for key in content),
            ):
                read_alone(odd)
                life.homeserver.decrypted(ROOM, odd)
        for odd in TO_DEVICE:
            for key in odd:
                life.homeserver.receive({"to_device": {"events": [odd | {key: deep}]}})

    life.crypto.close()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("_silent_engine")
async def test_whatever_is_sealed_is_read(
    server: ScriptedHomeserver, homeserver: Homeserver, tmp_path: Path, seed: int
) -> None:
    await homeserver.exchange_keys()
    alice = Alice(tmp_path / "alice", server.asked("keys.upload")[0].body)
    homeserver.receive({"to_device": {"events": [alice.room_key]}})
    random, opened = Random(seed), 0
    whole: Json = alice.event("x", "$q")
    session = alice.crypto.olm.outbound_group_sessions[ROOM]

    for raw in EVENTS * 4:
        clear = {"type": raw["type"], "content": raw["content"], "room_id": ROOM}
        sealed = session.encrypt(json.dumps(mutated(clear, random)))
        event = whole | {"content": whole["content"] | {"ciphertext": sealed}}
        with capture_logs():
            found = homeserver.decrypted(ROOM, event)
        opened += found["type"] == "m.room.message"
        read_alone(found)

    assert opened > 10


@pytest.mark.parametrize(
    "clear",
    ["[]", "5", "null", "1" * 5_000, "[" * 100_000, "{", ""],
    ids=["a list", "a number", "null", "a long number", "nested", "half", "nothing"],
)
async def test_what_is_sealed_and_no_event_stays_sealed(
    server: ScriptedHomeserver, homeserver: Homeserver, tmp_path: Path, clear: str
) -> None:
    await homeserver.exchange_keys()
    alice = Alice(tmp_path / "alice", server.asked("keys.upload")[0].body)
    homeserver.receive({"to_device": {"events": [alice.room_key]}})
    whole: Json = alice.event("x", "$q")
    session = alice.crypto.olm.outbound_group_sessions[ROOM]
    whole["content"]["ciphertext"] = session.encrypt(clear)

    with capture_logs():
        found = homeserver.decrypted(ROOM, whole)

    assert found["type"] != "m.room.message"
