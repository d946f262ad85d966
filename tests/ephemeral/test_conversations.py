from datetime import UTC, datetime, timedelta

from ephemeral.confirmation import Confirmation, Pending
from ephemeral.conversations import Conversations, Lapsed
from fsm import Inbound, Kind, Signal, Snapshot
from fsm.ids import ConversationKey, EventId, RoomId, UserId

KEY = ConversationKey("!r|@a:x")
OTHER = ConversationKey("!r|@b:x")
FLOW = Confirmation(lifetime=timedelta(seconds=60), started_at=datetime(2026, 1, 1, tzinfo=UTC))
INBOUND = Inbound(
    event_id=EventId("$1"), room_id=RoomId("!r"), sender=UserId("@a:x"), kind=Kind.TEXT
)
AWAITING = Snapshot("awaiting", Pending(Signal("room", "archive")))


def test_a_conversation_is_found_where_it_was_put_and_nowhere_else() -> None:
    conversations = Conversations()

    conversations.put(FLOW, KEY, AWAITING, INBOUND, now=0)

    assert conversations.find(FLOW, KEY, now=1) == AWAITING
    assert conversations.find(FLOW, OTHER, now=1) is None


def test_an_expired_conversation_is_not_found_and_leaves_at_the_next_sweep() -> None:
    conversations = Conversations()
    conversations.put(FLOW, KEY, AWAITING, INBOUND, now=0)

    assert conversations.find(FLOW, KEY, now=59.9) == AWAITING
    assert conversations.find(FLOW, KEY, now=60) is None
    assert len(conversations) == 1
    assert conversations.sweep(now=60) == [Lapsed(FLOW.name, AWAITING, INBOUND)]
    assert len(conversations) == 0


def test_an_idle_conversation_occupies_nothing() -> None:
    conversations = Conversations()
    conversations.put(FLOW, KEY, AWAITING, INBOUND, now=0)

    conversations.put(FLOW, KEY, FLOW.at_rest, INBOUND, now=1)

    assert len(conversations) == 0
