import pytest

from fsm import EventKind
from strandline.engine.event_filter import FOR_EVERYBODY


@pytest.mark.parametrize("kind", sorted(set(EventKind) - FOR_EVERYBODY, key=str))
def test_what_people_send_is_handled_only_for_users_who_may_talk_to_the_bot(
    kind: EventKind,
) -> None:
    """A new kind needs permission until it is listed in ``FOR_EVERYBODY``, and here."""
    assert kind in {
        EventKind.TEXT,
        EventKind.FILE,
        EventKind.OTHER,
        EventKind.REACTION,
        EventKind.UNREADABLE,
        EventKind.ENTERED,
        EventKind.DEPARTED,
    }
