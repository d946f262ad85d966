from random import Random

from strandline.testing.person import fold, with_new
from tests.support.mutations import EVENTS, mutated


def test_a_room_is_read_back_whatever_hostile_people_have_sent_there() -> None:
    random = Random(7)
    for raw in EVENTS * 100:
        content = mutated(raw["content"], random, times=2)

        events = fold([raw, raw | {"content": content, "event_id": "$edit"}])

        assert all(isinstance(event.body, str) for event in events)


def test_new_events_of_a_sync_are_added_once_and_a_redaction_empties_its_target() -> None:
    old = {"event_id": "$1", "type": "m.room.message", "content": {"body": "one"}}
    new = {"event_id": "$2", "type": "m.room.message", "content": {"body": "two"}}
    old_form = {"event_id": "$3", "type": "m.room.redaction", "redacts": "$1", "content": {}}
    new_form = {"event_id": "$4", "type": "m.room.redaction", "content": {"redacts": "$2"}}

    events = with_new([old], [old, new, old_form, new_form])

    assert [event["event_id"] for event in events] == ["$1", "$2", "$3", "$4"]
    assert [event["content"] for event in events[:2]] == [{}, {}]
    assert with_new([old], [new]) == [old, new]
