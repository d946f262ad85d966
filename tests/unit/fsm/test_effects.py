"""The transaction ids of what a turn sends. An outbox of an earlier release holds such ids."""

import re

from fsm.effects import effect_id, transaction_id
from fsm.values.ids import EventId

EVENT = EventId("$event")


def test_an_event_has_the_same_transaction_ids_in_every_release() -> None:
    assert transaction_id(EVENT, "0.answer.1") == "strandline.lA_7j8nu3ZxganHfnPn0Z-XT.0.answer.1"
    assert effect_id(EVENT, 0, 0) == "strandline.lA_7j8nu3ZxganHfnPn0Z-XT.0"
    assert effect_id(EVENT, 2, 7) == "strandline.lA_7j8nu3ZxganHfnPn0Z-XT.2007"
    assert effect_id(EVENT, 2, 7, part=3) == "strandline.lA_7j8nu3ZxganHfnPn0Z-XT.2007.3"


def test_a_thousand_effects_of_an_attempt_collide_with_none_of_the_next() -> None:
    ids = [
        effect_id(EVENT, attempt, index, part)
        for attempt in range(3)
        for index in range(1000)
        for part in range(2)
    ]

    assert len(set(ids)) == len(ids)


def test_an_id_is_short_and_fits_a_url_whatever_the_event_is_called() -> None:
    for event_id in ("$" + "x" * 255, "$é/?#:example.org", ""):
        found = transaction_id(EventId(event_id), 999)
        assert re.fullmatch(r"strandline\.[A-Za-z0-9_-]{24}\.999", found)


def test_events_have_ids_of_their_own() -> None:
    ids = {transaction_id(EventId(f"$event{number}"), 0) for number in range(10_000)}

    assert len(ids) == 10_000
