from random import Random

from strandline.testing.person import fold, with_new
from tests.support.mutations import EVENTS, mutated


def test_a_room_is_read_back_whatever_hostile_people_have_sent_there() -> None:
    random = Random(7)
    for raw in EVENTS * 100:
        content = mutated(raw["content"], random, times=2)

        events = fold([raw, raw | {"content": content, "event_id": "$edit"}])

        assert all(isinstance(event.body, str) for event in events)


def test_new_events_of_a_sync_are_added_once() -> None:
    old, new = ({"event_id": event_id, "type": "m.room.message"} for event_id in ("$1", "$2"))

    assert with_new([old], [old, new, new | {"event_id": "$3"}]) == [
        old,
        new,
        new | {"event_id": "$3"},
    ]
