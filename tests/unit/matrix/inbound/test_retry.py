"""What only adds to an event is not waited for without end; a homeserver that is away is."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from fsm.values.ids import EventId, UserId
from fsm.values.retry import RetryPolicy
from matrix import Homeserver, HomeserverReader
from tests.support.fakes.homeserver import BOT, Answer, ScriptedHomeserver
from tests.support.sync_answers import ALICE, ROOM, Harbour, Json, text

HTML = b"<html>it is too long</html>"
QUESTION: Json = {"flow": "form", "id": "$a", "life": "1", "asker": ALICE}

Read = Callable[[HomeserverReader], Awaitable[object]]

READS: dict[str, tuple[str, Read, object]] = {
    "question_mark": (
        "rooms.event",
        lambda reader: reader.question_mark(ROOM, EventId("$q")),
        None,
    ),
    "is_group": ("rooms.members", lambda reader: reader.is_group(ROOM), False),
    "last_question": (
        "rooms.messages",
        lambda reader: reader.last_question(ROOM, UserId(ALICE)),
        None,
    ),
}


def unknowns(logs: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    return [entry for entry in logs if "a read failed" in str(entry["event"])]


@pytest.fixture
def hasty(homeserver: Homeserver) -> HomeserverReader:
    """A reader whose patience is short."""
    homeserver.lookup_policy = RetryPolicy(
        first_wait_seconds=0.001, max_wait_seconds=0.01, max_seconds=0.5, max_attempts=6
    )
    return Harbour(homeserver).reader


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize(
    "answer",
    [Answer(fault="reset"), Answer(404, HTML), Answer(502, HTML), Answer(429, {})],
    ids=["reset", "4xx without a code", "502", "429"],
)
async def test_what_fails_again_and_again_is_unknown_while_the_homeserver_is_there(
    server: ScriptedHomeserver, hasty: HomeserverReader, name: str, answer: Answer
) -> None:
    endpoint, read, unknown = READS[name]
    await server.script(endpoint, *[answer] * 1000)

    with capture_logs() as logs:
        found = await read(hasty)

    assert found == unknown
    assert [(e["log_level"], e["room_id"]) for e in unknowns(logs)] == [("warning", ROOM)]


@pytest.mark.parametrize("name", ["question_mark", "is_group"])
@pytest.mark.parametrize("status", [413, 414])
async def test_a_request_that_is_too_long_is_made_once(
    server: ScriptedHomeserver, hasty: HomeserverReader, name: str, status: int
) -> None:
    endpoint, read, unknown = READS[name]
    await server.script(endpoint, Answer(status, HTML))

    found = await read(hasty)

    assert found == unknown
    assert len(server.asked(endpoint)) == 1


async def test_a_read_that_is_never_answered_has_an_end(
    server: ScriptedHomeserver, hasty: HomeserverReader
) -> None:
    never = asyncio.Event()
    await server.script("rooms.event", Answer(held=never))

    with capture_logs() as logs:
        found = await hasty.question_mark(ROOM, EventId("$q"))

    assert found is None
    assert [(e["room_id"], e["problem"]) for e in unknowns(logs)] == [(ROOM, "no answer in time")]


async def test_a_homeserver_that_is_away_is_waited_for_and_then_asked_again(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    homeserver.lookup_policy = RetryPolicy(
        first_wait_seconds=0.001, max_wait_seconds=0.01, max_attempts=6
    )  # however long they take
    asked = text("Which day?", "$q", sender=BOT, **{"org.strandline.question": QUESTION})
    await server.script("account.whoami", *[Answer(502, HTML)] * 3)
    await server.script("rooms.event", *[Answer(502, HTML)] * 6, Answer(body=asked))

    mark = await Harbour(homeserver).reader.question_mark(ROOM, EventId("$q"))

    assert mark is not None
    assert (mark.flow, mark.asker) == ("form", ALICE)
