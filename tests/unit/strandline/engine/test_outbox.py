import pytest

from fsm import EventKind, Inbound
from fsm.effects import AddToSpace, Effect, NameRoom, RemoveFromSpace, SetState
from fsm.outbox import ReportTo, StateRow
from fsm.values.ids import EventId, RoomId, UserId
from strandline.engine.outbox import OutboxBuilder

ALICE, ROOM, SPACE = UserId("@alice:x"), RoomId("!room:x"), RoomId("!space:x")
INBOUND = Inbound(event_id=EventId("$1"), room_id=ROOM, sender=ALICE, kind=EventKind.TEXT)
REPORT = ReportTo(room_id=ROOM, user_id=ALICE, about=EventId("$1"))
LINKED = {"via": ["x"], "suggested": True}
TOPIC = {"topic": "Tides"}


@pytest.mark.parametrize(
    ("effect", "row"),
    [
        (
            SetState(room_id=ROOM, type="m.room.topic", content=TOPIC, state_key="k"),
            (ROOM, "m.room.topic", "k", TOPIC, None),
        ),
        (
            NameRoom(room_id=ROOM, name="Tides", asked_in=ROOM),
            (ROOM, "m.room.name", "", {"name": "Tides"}, REPORT),
        ),
        (
            AddToSpace(space_id=SPACE, room_id=ROOM),
            (SPACE, "m.space.child", ROOM, LINKED, None),
        ),
        (
            RemoveFromSpace(space_id=SPACE, room_id=ROOM),
            (SPACE, "m.space.child", ROOM, {}, None),
        ),
    ],
)
def test_an_effect_on_a_room_s_state_is_a_state_event(
    effect: Effect, row: tuple[object, ...]
) -> None:
    [made] = OutboxBuilder(server="bot.org").rows(INBOUND, [effect])

    assert isinstance(made, StateRow)
    assert (made.room_id, made.event_type, made.state_key, made.content, made.report_to) == row


def test_a_room_without_a_server_in_its_id_is_reached_through_the_bot_s() -> None:
    builder, room_id = OutboxBuilder(server="bot.org"), RoomId("!v12")
    [made] = builder.rows(INBOUND, [AddToSpace(space_id=SPACE, room_id=room_id)])

    assert isinstance(made, StateRow)
    assert made.content["via"] == ["bot.org"]
    assert builder.room_link(room_id) == "https://matrix.to/#/!v12?via=bot.org"
