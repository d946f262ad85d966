import pytest

from fsm.outbox import InviteRow, ReportTo, StateRow
from fsm.values.ids import EventId, RoomId, TransactionId, UserId
from fsm.values.inbound import EffectDone, EffectRefused
from strandline.engine.outcomes import outcome_of

ALICE, BOB = UserId("@alice:x"), UserId("@bob:x")
ROOM, LOBBY = RoomId("!room:x"), RoomId("!lobby:x")
TXN, ASKED = TransactionId("t"), EventId("$asked")
REPORT = ReportTo(room_id=LOBBY, user_id=ALICE, about=ASKED)
INVITE = InviteRow(transaction_id=TXN, room_id=ROOM, user_id=BOB, report_to=REPORT)


def state(event_type: str, content: dict[str, object]) -> StateRow:
    return StateRow(
        transaction_id=TXN,
        room_id=ROOM,
        event_type=event_type,
        state_key="",
        content=content,
        report_to=REPORT,
    )


@pytest.mark.parametrize(
    ("row", "room_name"),
    [
        (state("m.room.name", {"name": "Tides"}), "Tides"),
        (state("m.room.topic", {"topic": "Tides"}), None),
    ],
)
def test_the_outcome_of_a_state_event_says_what_was_asked(
    row: StateRow, room_name: str | None
) -> None:
    done, refused = outcome_of(row, None, ""), outcome_of(row, None, "403 no")

    assert isinstance(done, EffectDone)
    assert isinstance(refused, EffectRefused)
    assert (refused.problem, refused.invited) == ("403 no", None)
    for said in (done, refused):
        assert (said.event_type, said.content, said.target) == (row.event_type, row.content, ROOM)
        assert (said.room_name, said.room_id, said.sender) == (room_name, LOBBY, ALICE)
        assert (said.event_id, said.about) == (EventId(TXN), ASKED)


def test_a_refused_invite_names_who_was_to_be_invited() -> None:
    refused = outcome_of(INVITE, None, "403 no")

    assert isinstance(refused, EffectRefused)
    assert (refused.invited, refused.target, refused.room_name) == (BOB, ROOM, None)
    assert (refused.event_type, refused.content) == ("m.room.member", {})
