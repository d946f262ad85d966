from datetime import UTC, datetime, timedelta

from attrs import evolve

from ephemeral.asked import Asked
from ephemeral.confirmation import Confirmation, Pending
from ephemeral.conversations import Conversations, Lapsed
from fsm import Inbound, Kind, Signal, Snapshot
from fsm.ids import ConversationKey, EventId, RoomId, TransactionId, UserId

KEY = ConversationKey("!r|@a:x")
OTHER = ConversationKey("!r|@b:x")
FLOW = Confirmation(lifetime=timedelta(seconds=60), started_at=datetime(2026, 1, 1, tzinfo=UTC))
INBOUND = Inbound(
    event_id=EventId("$1"), room_id=RoomId("!r"), sender=UserId("@a:x"), kind=Kind.TEXT
)
ASKED = Asked(id=EventId("$1"), sent_as=TransactionId("t"), text="Archive?")
AWAITING = Snapshot("awaiting", Pending(Signal("room", "archive"), ASKED))


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
    assert conversations.sweep(now=59.9) == []
    assert conversations.sweep(now=60) == [Lapsed(FLOW.name, AWAITING, INBOUND)]
    assert len(conversations) == 0
    assert conversations.sweep(now=60) == []


def test_a_conversation_that_stays_as_it_was_gets_no_new_time() -> None:
    conversations = Conversations()
    conversations.put(FLOW, KEY, AWAITING, INBOUND, now=0)

    conversations.put(FLOW, KEY, AWAITING, INBOUND, now=30)

    assert conversations.find(FLOW, KEY, now=60) is None


def test_a_conversation_that_expired_begins_anew_and_its_end_is_told_all_the_same() -> None:
    conversations = Conversations()
    again = evolve(INBOUND, event_id=EventId("$2"))
    conversations.put(FLOW, KEY, AWAITING, INBOUND, now=0)

    conversations.put(FLOW, KEY, AWAITING, again, now=60)

    assert conversations.sweep(now=60) == [Lapsed(FLOW.name, AWAITING, INBOUND)]
    assert conversations.find(FLOW, KEY, now=119.9) == AWAITING
    assert conversations.sweep(now=120) == [Lapsed(FLOW.name, AWAITING, again)]


def test_an_idle_conversation_occupies_nothing() -> None:
    conversations = Conversations()
    conversations.put(FLOW, KEY, AWAITING, INBOUND, now=0)

    conversations.put(FLOW, KEY, FLOW.at_rest, INBOUND, now=1)

    assert len(conversations) == 0


def test_what_happens_at_idle_after_an_expiry_leaves_it_to_the_sweep() -> None:
    conversations = Conversations()
    conversations.put(FLOW, KEY, AWAITING, INBOUND, now=0)

    conversations.put(FLOW, KEY, FLOW.at_rest, INBOUND, now=60)

    assert conversations.sweep(now=60) == [Lapsed(FLOW.name, AWAITING, INBOUND)]
    assert len(conversations) == 0
