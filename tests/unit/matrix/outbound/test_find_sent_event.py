from typing import Any

import pytest

from fsm.values.ids import TransactionId
from matrix import Homeserver
from matrix.api.content import TRANSACTION_ID_KEY
from matrix.outbound.requests import find_sent_event
from tests.support.fakes.homeserver import BOT, Answer, ScriptedHomeserver
from tests.support.sync_answers import ALICE, ROOM, text

TXN = TransactionId("t1")
SENT = text("hello", "$1", sender=BOT, **{TRANSACTION_ID_KEY: TXN})


async def found(server: ScriptedHomeserver, homeserver: Homeserver, *history: Any) -> str | None:
    await server.script("rooms.messages", Answer(body={"chunk": list(history)}))
    return await find_sent_event(homeserver, ROOM, TXN)


async def test_an_event_of_ours_is_known_by_what_it_carries_or_the_homeserver_remembers(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    remembered = text("hello", "$2", sender=BOT) | {"unsigned": {"transaction_id": TXN}}

    assert await found(server, homeserver, text("no", "$0"), SENT) == "$1"
    assert await found(server, homeserver, remembered) == "$2"


@pytest.mark.parametrize(
    "other",
    [
        SENT | {"sender": ALICE},
        SENT | {"event_id": []},
        SENT | {"event_id": "$" + "x" * 20_000},
        SENT | {"content": {TRANSACTION_ID_KEY: [TXN]}},
        SENT | {"content": [TRANSACTION_ID_KEY]},
        text("hello", "$1", sender=BOT) | {"unsigned": []},
    ],
)
async def test_what_anybody_else_or_anything_else_sent_is_not_ours(
    server: ScriptedHomeserver, homeserver: Homeserver, other: Any
) -> None:
    assert await found(server, homeserver, other) is None
