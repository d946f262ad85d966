"""Inbound events: a kind with data of its own has its class, and is of no other."""

from typing import Any

import pytest

from fsm import EventKind, Inbound
from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.inbound import (
    EffectDone,
    EffectRefused,
    ReactionReceived,
    RoomCreated,
    RoomFailed,
    RoomJoined,
    RoomUpgraded,
    UnsupportedMessage,
    as_class,
    make_inbound,
)

COMMON: dict[str, Any] = {
    "event_id": EventId("$e"),
    "room_id": RoomId("!room"),
    "sender": UserId("@alice:x"),
}
WISH: dict[str, Any] = {"purpose": "chat:C1", "name": "Chat 1"}
EFFECT: dict[str, Any] = {
    "event_type": "m.room.name",
    "target": RoomId("!chat"),
    "content": {"name": "Tides"},
}
OWN: dict[EventKind, tuple[type[Inbound], dict[str, Any]]] = {
    EventKind.REACTION: (ReactionReceived, {"key": "✅"}),
    EventKind.OTHER: (UnsupportedMessage, {"content_type": "sticker"}),
    EventKind.JOINED: (RoomJoined, {"after_invite": False}),
    EventKind.UPGRADED: (RoomUpgraded, {"replacement": RoomId("!new")}),
    EventKind.ROOM_CREATED: (RoomCreated, WISH | {"asked_in": RoomId("!lobby")}),
    EventKind.ROOM_FAILED: (RoomFailed, WISH | {"problem": "403"}),
    EventKind.DONE: (EffectDone, EFFECT),
    EventKind.REFUSED: (EffectRefused, EFFECT | {"problem": "403"}),
}


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_is_of_the_class_of_its_kind(kind: EventKind) -> None:
    cls, own = OWN.get(kind, (Inbound, {}))

    inbound = make_inbound(kind, **COMMON, **own)

    assert (type(inbound), inbound.kind) == (cls, kind)
    assert cls.of(inbound) is inbound


@pytest.mark.parametrize("kind", OWN)
def test_an_event_without_the_data_of_its_kind_is_refused(kind: EventKind) -> None:
    with pytest.raises(TypeError, match=f"kind {kind.name} is no Inbound"):
        Inbound(**COMMON, kind=kind)


def test_an_event_is_not_taken_for_one_of_another_class() -> None:
    text = Inbound(**COMMON, kind=EventKind.TEXT, body="hello")

    with pytest.raises(TypeError, match="kind TEXT is no RoomUpgraded"):
        RoomUpgraded.of(text)


def test_an_event_becomes_one_of_another_class_with_all_that_both_have() -> None:
    done = EffectDone(**COMMON, **EFFECT, about=EventId("$asked"))

    refused = as_class(EffectRefused, done, problem="403")

    assert refused == EffectRefused(**COMMON, **EFFECT, about=EventId("$asked"), problem="403")
    assert (refused.kind, refused.content) == (EventKind.REFUSED, {"name": "Tides"})
