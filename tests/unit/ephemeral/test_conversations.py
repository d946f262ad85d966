from datetime import UTC, datetime, timedelta

from attrs import evolve

from durable.flows.signals import ArchiveRoom, WelcomeUser
from ephemeral.conversations import Conversations, ExpiringState
from ephemeral.flows.confirmation import Confirmation, Pending
from ephemeral.flows.open_prompt import OpenPrompt
from fsm import EventKind, Inbound, Snapshot, Triggered
from fsm.dispatch import TransitionTaken
from fsm.values.ids import ConversationKey, EventId, RoomId, TransactionId, UserId

KEY = ConversationKey("!r|@a:x")
OTHER = ConversationKey("!r|@b:x")
FLOW = Confirmation(lifetime=timedelta(seconds=60), started_at=datetime(2026, 1, 1, tzinfo=UTC))
INBOUND = Inbound(
    event_id=EventId("$1"), room_id=RoomId("!r"), sender=UserId("@a:x"), kind=EventKind.TEXT
)
ASKED = OpenPrompt(id=EventId("$1"), sent_as=TransactionId("t"), text="Archive?")
AWAITING = Snapshot("awaiting", Pending(Triggered(ArchiveRoom()), None, ASKED))


def to(after: Snapshot, *, entered: bool = True) -> TransitionTaken:
    return TransitionTaken(
        flow=FLOW.name, key=KEY, event="ask", before=FLOW.at_rest, after=after, entered=entered
    )


def test_a_conversation_is_found_where_it_was_put_and_nowhere_else() -> None:
    conversations = Conversations()

    conversations.put(FLOW, to(AWAITING), INBOUND, now=0)

    assert conversations.find(FLOW, KEY, now=1) == AWAITING
    assert conversations.find(FLOW, OTHER, now=1) is None


def test_an_expired_conversation_is_not_found_and_leaves_at_the_next_sweep() -> None:
    conversations = Conversations()
    conversations.put(FLOW, to(AWAITING), INBOUND, now=0)

    assert conversations.find(FLOW, KEY, now=59.9) == AWAITING
    assert conversations.find(FLOW, KEY, now=60) is None
    assert len(conversations) == 1
    assert conversations.sweep(now=59.9) == []
    assert conversations.sweep(now=60) == [
        ExpiringState(FLOW.name, AWAITING, INBOUND, FLOW.at_rest)
    ]
    assert len(conversations) == 0
    assert conversations.sweep(now=60) == []


def test_a_conversation_that_stays_in_its_state_gets_no_new_time() -> None:
    conversations = Conversations()
    conversations.put(FLOW, to(AWAITING), INBOUND, now=0)

    conversations.put(FLOW, to(AWAITING, entered=False), INBOUND, now=30)

    assert conversations.find(FLOW, KEY, now=60) is None


def test_a_conversation_that_stays_keeps_what_it_carries_now_and_its_time() -> None:
    conversations = Conversations()
    changed = Snapshot("awaiting", Pending(Triggered(WelcomeUser()), None, ASKED))
    conversations.put(FLOW, to(AWAITING), INBOUND, now=0)

    conversations.put(FLOW, to(changed, entered=False), INBOUND, now=30)

    assert conversations.find(FLOW, KEY, now=59.9) == changed
    assert conversations.sweep(now=60) == [ExpiringState(FLOW.name, changed, INBOUND, FLOW.at_rest)]


def test_a_state_that_is_entered_anew_has_its_whole_time_again() -> None:
    conversations = Conversations()
    conversations.put(FLOW, to(AWAITING), INBOUND, now=0)

    conversations.put(FLOW, to(AWAITING), INBOUND, now=30)

    assert conversations.find(FLOW, KEY, now=89.9) == AWAITING


def test_a_conversation_that_expired_begins_anew_and_its_end_is_told_all_the_same() -> None:
    conversations = Conversations()
    again = evolve(INBOUND, event_id=EventId("$2"))
    conversations.put(FLOW, to(AWAITING), INBOUND, now=0)

    conversations.put(FLOW, to(AWAITING), again, now=60)

    assert conversations.sweep(now=60) == [
        ExpiringState(FLOW.name, AWAITING, INBOUND, FLOW.at_rest)
    ]
    assert conversations.find(FLOW, KEY, now=119.9) == AWAITING
    assert conversations.sweep(now=120) == [ExpiringState(FLOW.name, AWAITING, again, FLOW.at_rest)]


def test_an_idle_conversation_occupies_nothing() -> None:
    conversations = Conversations()
    conversations.put(FLOW, to(AWAITING), INBOUND, now=0)

    conversations.put(FLOW, to(FLOW.at_rest), INBOUND, now=1)

    assert len(conversations) == 0


def test_what_happens_at_idle_after_an_expiry_leaves_it_to_the_sweep() -> None:
    conversations = Conversations()
    conversations.put(FLOW, to(AWAITING), INBOUND, now=0)

    conversations.put(FLOW, to(FLOW.at_rest), INBOUND, now=60)

    assert conversations.sweep(now=60) == [
        ExpiringState(FLOW.name, AWAITING, INBOUND, FLOW.at_rest)
    ]
    assert len(conversations) == 0
