from random import Random

from strandline.testing.person import fold
from tests.support.mutations import EVENTS, mutated


def test_a_room_is_read_back_whatever_hostile_people_have_sent_there() -> None:
    random = Random(7)
    for raw in EVENTS * 100:
        content = mutated(raw["content"], random, times=2)

        events = fold([raw, raw | {"content": content, "event_id": "$edit"}])

        assert all(isinstance(event.body, str) for event in events)
