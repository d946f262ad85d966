from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fsm.values.ids import EventId, SyncToken
from fsm.values.inbound import EventKind
from matrix import Homeserver, LoginRefused, SyncBatch, TimelineGap
from matrix.inbound.gaps import MAX_INVITE_SEARCH_PAGES
from tests.support.fakes.homeserver import Answer, ScriptedHomeserver
from tests.support.sync_answers import (
    ALICE,
    ENCRYPTION,
    ROOM,
    START,
    Harbour,
    Json,
    joined,
    limited,
    member,
    settings,
    text,
)

INVITED: Json = {"rooms": {"invite": {ROOM: {"invite_state": {"events": []}}}}}


async def test_events_arrive_in_order_and_the_token_moves(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.syncs(
        joined(text("1", "$1"), text("2", "$2")) | {"next_batch": "s1"},
        joined(text("3", "$3")) | {"next_batch": "s2"},
    )

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(server.asked("sync")) == 3)

    assert harbour.bodies == ["1", "2", "3"]
    assert [(b.since, b.next) for b in harbour.batches] == [("s0", "s1"), ("s1", "s2")]
    assert [r.query["since"] for r in server.asked("sync")] == ["s0", "s1", "s2"]
    assert harbour.ready == 1


async def test_the_next_sync_is_asked_for_only_when_the_batch_was_taken(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.syncs(joined(text("1")))
    seen = []
    harbour = Harbour(homeserver)

    async def take(_batch: object) -> None:
        seen.append(len(server.asked("sync")))

    harbour.on_batch = take
    async with harbour.at_work():
        await harbour.until(lambda: len(server.asked("sync")) == 2)

    assert seen == [1]


@pytest.mark.parametrize(
    "fault",
    [
        [Answer(502, b"<html>bad gateway</html>")],
        [Answer(200, {"next_batch": "x", "filler": "y" * 1000}, fault="truncate")] * 2,
        [Answer(fault="reset")] * 2,
        [Answer(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 20})],
        [Answer(200, {})],
        [Answer(200, {"next_batch": 7})],
        [Answer(414, b"<html>too long</html>")],
        [Answer(403, {"errcode": "M_FORBIDDEN", "error": "not now"})],
        [Answer(400, {"errcode": "M_UNKNOWN", "error": "a wrong token"})],
        [
            Answer(
                429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": [20]}, {"Retry-After": "0"}
            )
        ],
    ],
)
async def test_a_homeserver_in_trouble_costs_nothing(
    server: ScriptedHomeserver, homeserver: Homeserver, fault: list[Answer]
) -> None:
    await server.script("sync", *fault)
    await server.syncs(joined(text("still here")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["still here"]
    assert {r.query["since"] for r in server.asked("sync")[:-1]} == {"s0"}


async def test_a_revoked_token_is_replaced_while_running(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    unknown = {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"}
    await server.script("sync", Answer(401, unknown))
    await server.syncs(joined(text("again")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(server.asked("sync")) == 3)

    assert harbour.bodies == ["again"]
    assert server.asked("login")[-1].body["device_id"] == "DEVICE"
    assert any("device_keys" in r.body for r in server.asked("keys.upload"))


async def test_a_password_that_was_changed_ends_the_bot_with_a_sentence(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    unknown = {"errcode": "M_UNKNOWN_TOKEN", "error": "Unknown token"}
    await server.script("sync", Answer(401, unknown))
    await server.script("login", Answer(403, {"errcode": "M_FORBIDDEN", "error": "No."}))

    with pytest.raises(LoginRefused, match=r"homeserver\.password"):
        await Harbour(homeserver).run_sync()


async def test_a_first_sync_answers_no_history_but_takes_invites(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.syncs(joined(text("old"), room_id="!other") | {"next_batch": "s1"} | INVITED_TOO)

    async with Harbour(homeserver, since=None).at_work() as harbour:
        await harbour.until(lambda: len(server.asked("sync")) == 2)

    assert [i.kind for i in harbour.arrived] == [EventKind.INVITED]
    assert "since" not in server.asked("sync")[0].query


@pytest.mark.parametrize("since", [None, START])
async def test_two_lives_ask_differently_so_that_no_cache_answers_the_second(
    since: SyncToken | None, server: ScriptedHomeserver, tmp_path: Path
) -> None:
    for life in range(2):
        await server.syncs(joined(text("hello")) | {"next_batch": f"s{life + 1}"})
        async with (
            Homeserver.connect(settings(server), tmp_path / "store") as homeserver,
            Harbour(homeserver, since=since).at_work() as harbour,
        ):
            await harbour.until(lambda: harbour.ready)

    first, second = [r for r in server.asked("sync") if r.query.get("since") == since]
    assert first.query["filter"] != second.query["filter"]


async def test_an_answer_with_the_same_token_is_taken_too(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.syncs(joined(text("same token")) | {"next_batch": "s0"})

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["same token"]


async def test_hostile_events_cost_their_neighbours_nothing(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    hostile = [
        None,
        7,
        {},
        {"type": "m.room.message"},
        text(None, "$none"),
        text("\ud800", "$half"),
        text("x" * 1_000_000, "$big"),
        {"type": "m.room.encrypted", "event_id": "$enc", "sender": ALICE, "content": {"a": 1}},
        {"type": "m.room.encrypted", "event_id": 5, "sender": ALICE, "content": {"a": 1}},
        {"type": "m.room.member", "state_key": [], "content": []},
    ]
    await server.syncs(joined(text("before", "$1"), *hostile, text("after", "$2")))  # type: ignore[arg-type]

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert [i.event_id for i in harbour.arrived] == ["$1", "$half", "$big", "$enc", "$2"]


@pytest.mark.parametrize(
    "rooms",
    [
        None,
        [],
        {"join": None},
        {"join": {ROOM: None}},
        {"join": {ROOM: {"timeline": []}}},
        {"join": {ROOM: {"timeline": {"events": {}}}}},
        {"invite": 3, "leave": []},
    ],
)
async def test_a_misshapen_response_is_passed_over(
    server: ScriptedHomeserver, homeserver: Homeserver, rooms: object
) -> None:
    odd = {"rooms": rooms, "to_device": [], "device_lists": 1, "device_one_time_keys_count": []}
    await server.syncs(odd, joined(text("next")) | {"next_batch": "s2"})

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert [i for i in harbour.arrived if i.kind is EventKind.TEXT] == harbour.arrived


async def test_a_poisoned_to_device_message_is_dropped_and_the_loop_goes_on(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    own = await _own_key(server, homeserver)
    poison = [
        {"type": "m.room.encrypted", "sender": ALICE, "content": _olm(own, kind, body)}
        for kind, body in [(0, "AAAA"), (0, "é"), (1, "AAAA"), (7, ""), (0, None)]
    ]
    odd = [None, {"type": "m.room_key_request", "sender": ALICE, "content": {"action": "request"}}]
    response = joined(text("alive")) | {"to_device": {"events": [*poison, *odd]}}
    await server.syncs(response)

    with capture_logs() as logs:
        async with Harbour(homeserver).at_work() as harbour:
            await harbour.until(lambda: len(server.asked("sync")) == 2)

    assert harbour.bodies == ["alive"]
    dropped = [entry for entry in logs if entry["event"] == "a to-device message is dropped"]
    assert dropped
    assert {(entry["sender"], entry["type"]) for entry in dropped} == {(ALICE, "m.room.encrypted")}


@pytest.mark.parametrize("counts", [{"signed_curve25519": 0}, {}])
async def test_a_drained_pool_of_one_time_keys_is_refilled(
    server: ScriptedHomeserver, homeserver: Homeserver, counts: dict[str, int]
) -> None:
    await server.syncs({"next_batch": "s1"}, {"device_one_time_keys_count": counts})

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(server.asked("sync")) == 3)

    first, refill = server.asked("keys.upload")
    assert "device_keys" in first.body
    assert len(refill.body["one_time_keys"]) == 50


async def test_key_requests_that_fail_do_not_end_the_loop(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("keys.upload", Answer(502, b""), Answer(400, {"errcode": "M_UNKNOWN"}))
    await server.syncs(*({"next_batch": f"s{n}"} for n in (1, 2, 3)))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(server.asked("sync")) == 4)

    assert len(server.asked("keys.upload")) == 3


async def test_a_gap_is_filled_page_by_page_and_in_its_place(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script(
        "rooms.messages",
        Answer(body={"chunk": [text("1", "$1"), text("2", "$2")], "end": "m1"}),
        Answer(503, b""),
        *[Answer(body={"chunk": [], "end": "m2"}), Answer(body={"chunk": [text("3", "$3")]})] * 2,
    )
    await server.syncs(limited(text("4", "$4"), prev_batch="p1"))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 4)

    assert harbour.bodies == ["1", "2", "3", "4"]
    asked = [r.query for r in server.asked("rooms.messages")]
    assert [(q["from"], q["to"], q["dir"]) for q in asked] == [
        (start, "p1", "f") for start in ("s0", "m1", "m1", "m2", "m1", "m2")
    ]


async def test_of_a_room_that_the_bot_was_in_a_repeated_join_is_no_news(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """With lazily loaded members, a homeserver that was restarted repeats it in ``state``."""
    page = Answer(body={"chunk": [text("1", "$1"), text("2", "$2")]})
    await server.script("rooms.messages", page)
    again = limited(text("3", "$3"), state=[member("join", "$j")], prev_batch="p1")
    await server.syncs(again)

    async with Harbour(homeserver, was_in={ROOM}).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 3)

    assert harbour.bodies == ["1", "2", "3"]
    asked = [(r.query["dir"], r.query["from"]) for r in server.asked("rooms.messages")]
    assert asked == [("f", "s0")]
    assert harbour.batches[0].memberships == {}


async def test_what_was_said_before_the_bot_left_and_came_again_is_not_lost(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """The bot was killed before it had answered; it left and came in the life that was killed."""
    timeline = [text("before", "$1"), member("leave", "$l"), text("while away", "$2")]
    timeline += [member("invite", "$i"), text("since the invite", "$3")]
    timeline += [member("join", "$j", before="invite"), text("after", "$4")]
    await server.syncs(joined(*timeline))

    async with Harbour(homeserver, was_in={ROOM}).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 4)

    assert harbour.bodies == ["before", "since the invite", "", "after"]
    assert harbour.batches[0].memberships == {ROOM: True}


@pytest.mark.parametrize("response", [joined, limited])
async def test_a_change_of_the_bots_name_that_names_no_membership_before_it_hides_nothing(
    server: ScriptedHomeserver, homeserver: Homeserver, response: Callable[..., Json]
) -> None:
    await server.script("rooms.messages", Answer(body={"chunk": []}))
    await server.syncs(response(text("before", "$1"), member("join", "$j"), text("after", "$2")))

    async with Harbour(homeserver, was_in={ROOM}).at_work() as harbour:
        await harbour.until(lambda: "after" in harbour.bodies)

    assert "before" in harbour.bodies


async def test_what_a_gap_hides_from_before_the_bot_left_and_came_again_is_not_lost(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    history = [text("before", "$1"), member("leave", "$l"), text("while away", "$2")]
    await server.script("rooms.messages", Answer(body={"chunk": history}))
    timeline = [text("still away", "$3"), member("invite", "$i"), text("since the invite", "$4")]
    timeline += [member("join", "$j", before="invite"), text("after", "$5")]
    await server.syncs(limited(*timeline))

    async with Harbour(homeserver, was_in={ROOM}).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 4)

    assert harbour.bodies == ["before", "since the invite", "", "after"]
    assert [r.query["dir"] for r in server.asked("rooms.messages")] == ["f"]


async def test_a_join_that_was_seen_in_this_life_is_no_news_when_it_is_repeated(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("rooms.messages", Answer(body={"chunk": [text("1", "$1")]}))
    join = member("join", "$j")
    again = limited(text("2", "$2"), state=[join], prev_batch="p1")
    await server.syncs(joined(join) | {"next_batch": "s1"}, again)

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 3)

    assert harbour.bodies == ["", "1", "2"]
    assert [b.memberships for b in harbour.batches[:2]] == [{ROOM: True}, {}]
    assert [r.query["from"] for r in server.asked("rooms.messages")] == ["s1"]


async def test_nothing_is_passed_over_because_neither_join_nor_invite_is_found(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    older = [text("1", "$1"), text("2", "$2")]
    await server.script(
        "rooms.messages", Answer(body={"chunk": older[::-1]}), Answer(body={"chunk": older})
    )
    await server.syncs(limited(text("3", "$3"), state=[member("join", "$j")], prev_batch="p1"))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 3)

    assert harbour.bodies == ["1", "2", "3"]
    asked = [(r.query["dir"], r.query["from"]) for r in server.asked("rooms.messages")]
    assert asked == [("b", "p1"), ("f", "s0")]


async def test_of_a_room_entered_uninvited_everything_since_the_join_counts(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """The bot made it, and more was said than a sync response holds."""
    history = [text("before", "$0"), member("join", "$j"), text("1", "$1")]
    await server.script(
        "rooms.messages",
        Answer(body={"chunk": history[::-1], "end": "b1"}),
        Answer(body={"chunk": history}),
    )
    await server.syncs(limited(text("2", "$2"), state=[member("join", "$j")], prev_batch="p1"))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 3)

    assert harbour.bodies == ["", "1", "2"]
    assert harbour.batches[0].memberships == {ROOM: True}


async def test_rooms_that_were_left_are_told_with_the_batch(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.syncs({"rooms": {"leave": {ROOM: {}}}})

    async with Harbour(homeserver, was_in={ROOM}).at_work() as harbour:
        await harbour.until(lambda: harbour.batches)

    assert harbour.batches[0].memberships == {ROOM: False}


async def test_edits_on_a_later_page_of_a_gap_are_told_before_its_first_event(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    first = Answer(body={"chunk": [text("how much", "$q")], "end": "m1"})
    second = Answer(body={"chunk": [edit("how many", "$e")]})
    await server.script("rooms.messages", first, second, second)
    await server.syncs(limited(prev_batch="p1"))
    harbour = Harbour(homeserver)
    known: list[list[str]] = []

    async def take(batch: SyncBatch) -> None:
        for item in batch.items:
            assert isinstance(item, TimelineGap)
            known.extend(
                [
                    [amendment.event_id for amendment in harbour.amendments]
                    async for _inbound in harbour.reader.fill(item)
                ]
            )

    harbour.on_batch = take
    async with harbour.at_work():
        await harbour.until(lambda: known)

    assert known == [["$e"]]


async def test_edits_between_an_invite_in_a_gap_and_the_join_are_told_before_its_first_event(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    page = Answer(body={"chunk": [member("invite", "$i")]})
    await server.script("rooms.messages", page, page)
    join = member("join", "$j", before="invite")
    await server.syncs(limited(text("how much", "$q"), edit("how many", "$e"), join))
    harbour = Harbour(homeserver)
    known: list[tuple[str, list[str]]] = []

    async def take(batch: SyncBatch) -> None:
        for item in batch.items:
            if isinstance(item, TimelineGap):
                known.extend(
                    [
                        (inbound.event_id, [a.event_id for a in harbour.amendments])
                        async for inbound in harbour.reader.fill(item)
                    ]
                )

    harbour.on_batch = take
    async with harbour.at_work():
        await harbour.until(lambda: known)

    assert known == [("$q", ["$e"])]


async def test_an_event_fetched_by_its_id_brings_the_edit_that_the_homeserver_bundles(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """The edit itself may have come before the checkpoint, in an earlier life."""
    bundle = {"m.relations": {"m.replace": edit("how many", "$e")}}
    await server.script("rooms.event", Answer(body=text("how much", "$q") | {"unsigned": bundle}))
    harbour = Harbour(homeserver)

    found = await harbour.reader.event(ROOM, EventId("$q"))

    assert found is not None
    assert [(a.event_id, a.text) for a in harbour.amendments] == [("$e", "how many")]


@pytest.mark.parametrize("end", ["s0", "p1"])
async def test_paging_ends_where_the_homeserver_goes_in_a_circle(
    server: ScriptedHomeserver, homeserver: Homeserver, end: str
) -> None:
    await server.script("rooms.messages", Answer(body={"chunk": [text("1")], "end": end}))
    await server.syncs(limited(text("2", "$2"), prev_batch="p1"))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 2)

    assert len(server.asked("rooms.messages")) == 1


async def test_history_that_may_not_be_read_is_gone(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("rooms.messages", Answer(403, {"errcode": "M_FORBIDDEN"}))
    await server.syncs(limited(text("2", "$2")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["2"]


async def test_of_a_joined_room_what_was_written_since_the_invite_counts(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    timeline = [text("old", "$1"), member("invite", "$i"), text("between", "$2")]
    timeline += [member("join", "$j", before="invite"), text("after", "$3")]
    await server.syncs(limited(*timeline))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["between", "", "after"]
    assert harbour.arrived[1].kind is EventKind.JOINED


async def test_an_invite_is_looked_for_in_history(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script(
        "rooms.messages",
        Answer(body={"chunk": [text("3", "$3"), text("2", "$2")], "end": "b1"}),
        Answer(body={"chunk": [text("1", "$1"), member("invite", "$i")], "end": "b2"}),
        Answer(
            body={"chunk": [text("0", "$0"), member("invite", "$i"), text("1", "$1")], "end": "f1"}
        ),
        Answer(body={"chunk": [text("2", "$2"), text("3", "$3")]}),
    )
    join = member("join", "$j", before="invite")
    await server.syncs(limited(text("4", "$4"), join, text("5", "$5"), prev_batch="p1"))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 6)

    assert harbour.bodies == ["1", "2", "3", "4", "", "5"]
    asked = [(r.query["dir"], r.query["from"]) for r in server.asked("rooms.messages")]
    assert asked == [("b", "p1"), ("b", "b1"), ("f", "b2"), ("f", "f1")]


async def test_of_several_invites_the_newest_counts(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """What was said before it was said while the bot was not in the room, or was answered then."""
    history = [
        member("invite", "$i1"),
        text("old", "$1"),
        member("invite", "$i2"),
        text("new", "$2"),
    ]
    await server.script(
        "rooms.messages",
        Answer(body={"chunk": history[::-1], "end": "b1"}),
        Answer(body={"chunk": history}),
    )
    join = member("join", "$j", before="invite")
    await server.syncs(limited(join, text("newer", "$3"), prev_batch="p1"))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 3)

    assert harbour.bodies == ["new", "", "newer"]


async def test_what_came_with_the_response_is_told_even_if_history_can_not_be_read(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("rooms.messages", Answer(403, {"errcode": "M_FORBIDDEN"}))
    join = member("join", "$j", before="invite")
    await server.syncs(limited(text("before", "$1"), join, text("after", "$2"), prev_batch="p1"))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 2)

    assert harbour.bodies == ["", "after"]


async def test_where_the_invite_lies_too_far_back_all_that_was_searched_is_told(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    pages = [
        Answer(body={"chunk": [text("old")], "end": f"b{n}"})
        for n in range(MAX_INVITE_SEARCH_PAGES)
    ]
    forward = Answer(body={"chunk": [text("oldest", "$o"), text("old", "$p")]})
    await server.script("rooms.messages", *pages, forward)
    join = member("join", "$j", before="invite")
    await server.syncs(limited(text("before", "$1"), join, text("after", "$2"), prev_batch="p1"))

    with capture_logs() as logs:
        async with Harbour(homeserver).at_work() as harbour:
            await harbour.until(lambda: len(harbour.arrived) == 5)

    assert harbour.bodies == ["oldest", "old", "before", "", "after"]
    assert server.asked("rooms.messages")[-1].query["from"] == f"b{MAX_INVITE_SEARCH_PAGES - 1}"
    assert [e["log_level"] for e in logs if "too far back" in e["event"]] == ["warning"]


async def test_an_invite_at_the_very_beginning_of_history(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    invite = member("invite", "$i")
    await server.script(
        "rooms.messages",
        Answer(body={"chunk": [text("1", "$1"), invite]}),
        Answer(body={"chunk": [invite, text("1", "$1")]}),
    )
    await server.syncs(limited(member("join", "$j", before="invite"), text("2", "$2")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 3)

    assert harbour.bodies == ["1", "", "2"]
    assert "from" not in server.asked("rooms.messages")[1].query


@pytest.mark.parametrize(
    "history",
    [
        Answer(403, {"errcode": "M_FORBIDDEN", "error": "no history for you"}),
        Answer(body={"chunk": [text("old", "$o")]}),
    ],
)
async def test_without_an_invite_in_history_only_what_follows_the_join_counts(
    server: ScriptedHomeserver, homeserver: Homeserver, history: Answer
) -> None:
    await server.script("rooms.messages", history)
    join = member("join", "$j", before="invite")
    await server.syncs(limited(text("before", "$1"), join, text("after", "$2")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["", "after"]


async def test_an_invite_without_an_id_is_no_place_to_begin_at(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    invite, nameless = member("invite", "$i"), text("nameless")
    del invite["event_id"], nameless["event_id"]
    history = [nameless, text("old", "$1"), invite, text("new", "$2")]
    await server.script(
        "rooms.messages", Answer(body={"chunk": history[::-1]}), Answer(body={"chunk": history})
    )
    await server.syncs(limited(member("join", "$j", before="invite"), text("after", "$3")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 2)

    assert harbour.bodies == ["", "after"]


async def test_a_room_whose_id_is_none_is_passed_over(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    rooms: Json = {
        room_id: {"invite_state": {"events": []}} for room_id in ("", "x", "!" + "r" * 20_000)
    }
    await server.syncs({"rooms": {"invite": rooms}}, joined(text("next")) | {"next_batch": "s2"})

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["next"]


async def test_a_room_that_was_entered_uninvited_has_no_history(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.syncs(limited(text("before", "$1"), member("join", "$j"), text("after", "$2")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["", "after"]
    assert not server.asked("rooms.messages")


async def test_a_join_that_is_known_from_state_only(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    join = member("join", "$j", before="invite")
    await server.script("rooms.messages", Answer(body={"chunk": [text("?", "$o")]}))
    await server.syncs(limited(text("after", "$2"), state=[join]), joined(text("3", "$3")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: "3" in harbour.bodies)

    assert isinstance(harbour.batches[0].items[0], TimelineGap)
    assert harbour.bodies[-1] == "3"


async def test_a_change_of_the_bots_name_is_no_join(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    renamed = member("join", "$m", before="join")
    await server.syncs(joined(text("1", "$1"), renamed, text("2", "$2")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert harbour.bodies == ["1", "2"]


async def test_a_room_that_was_left_is_told_and_nothing_of_what_was_said_there(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    left = {"rooms": {"leave": {ROOM: {"timeline": {"events": [text("gone")]}}}}}
    await server.syncs(left, joined(text("here")) | {"next_batch": "s2"})

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: len(harbour.arrived) == 2)

    assert [inbound.kind for inbound in harbour.arrived] == [EventKind.LEFT, EventKind.TEXT]
    assert harbour.bodies == ["", "here"]


@pytest.mark.parametrize("where", ["state", "timeline", "gap"])
async def test_a_room_that_becomes_encrypted_is_never_written_to_in_clear(
    server: ScriptedHomeserver, homeserver: Homeserver, where: str
) -> None:
    turned_on = {
        "type": "m.room.encryption",
        "event_id": "$c",
        "sender": ALICE,
        "state_key": "",
        "content": {"algorithm": "m.megolm.v1.aes-sha2"},
    }
    assert not await homeserver.is_encrypted(ROOM)
    response = {
        "state": joined(text("x"), state=[turned_on]),
        "timeline": joined(turned_on, text("x")),
        "gap": limited(text("x")),
    }[where]
    await server.script("rooms.messages", Answer(body={"chunk": [turned_on]}))
    await server.syncs(response)

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

    assert await homeserver.is_encrypted(ROOM)


async def test_edits_and_redactions_are_told_before_the_batch_they_came_in(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    """Who reads the message they are about must know of them by then."""
    await server.syncs(joined(text("how much", "$q"), edit("how many", "$e"), redaction("$r")))
    known: list[list[str]] = []

    async def take(_: SyncBatch) -> None:
        known.append([amendment.event_id for amendment in harbour.amendments])

    harbour = Harbour(homeserver)
    harbour.on_batch = take
    async with harbour.at_work():
        await harbour.until(lambda: known)

    assert known == [["$e", "$r"]]


async def test_edits_and_redactions_in_a_gap_are_told_before_its_page(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    page = [text("how much", "$q"), edit("how many", "$e"), redaction("$r")]
    await server.script("rooms.messages", Answer(body={"chunk": page, "end": "p1"}))
    await server.syncs(limited(edit("newest", "$f", at_ms=2)))
    harbour = Harbour(homeserver)
    known: list[tuple[str, list[str]]] = []

    async def take(batch: SyncBatch) -> None:
        for item in batch.items:
            assert isinstance(item, TimelineGap)
            known.extend(
                [
                    (inbound.event_id, [a.event_id for a in harbour.amendments])
                    async for inbound in harbour.reader.fill(item)
                ]
            )

    harbour.on_batch = take
    async with harbour.at_work():
        await harbour.until(lambda: len(known) == 2)

    assert known == [("$q", ["$f", "$e", "$r"]), ("$r", ["$f", "$e", "$r"])]
    assert max(harbour.amendments, key=lambda a: a.sent_at_ms).text == "newest"


async def test_one_event_is_fetched_by_its_id(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    intake = Harbour(homeserver).reader
    await server.script("rooms.event", Answer(502, b""), Answer(body=text("once more", "$e")))
    await server.script("rooms.event", Answer(404, {"errcode": "M_NOT_FOUND"}))
    await server.script("rooms.event", Answer(body=text("x") | {"content": {}}))

    found, gone, redacted = [await intake.event(ROOM, EventId("$e/1")) for _ in range(3)]

    assert found is not None
    assert (found.body, gone, redacted) == ("once more", None, None)


async def test_an_event_whose_key_stays_away_is_given_back_unreadable(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    encrypted = {"type": "m.room.encrypted", "event_id": "$e", "sender": ALICE, "content": {"a": 1}}
    await server.syncs(joined(encrypted, state=[ENCRYPTION]))
    async with Harbour(homeserver, key_wait_seconds=0.05).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

        late = await harbour.reader.decrypt_later(harbour.arrived[0])

    assert late is harbour.arrived[0]
    assert late.kind is EventKind.UNREADABLE


async def test_no_key_is_waited_for_in_a_room_that_is_not_encrypted(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    encrypted = {"type": "m.room.encrypted", "event_id": "$e", "sender": ALICE, "content": {"a": 1}}
    await server.script("rooms.state", Answer(404, {"errcode": "M_NOT_FOUND", "error": "none"}))
    await server.syncs(joined(encrypted))
    async with Harbour(homeserver, key_wait_seconds=3600).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

        assert await harbour.reader.decrypt_later(harbour.arrived[0]) is harbour.arrived[0]


async def test_who_has_sent_garbage_is_waited_for_once(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    garbage = [
        {"type": "m.room.encrypted", "event_id": f"$e{n}", "sender": ALICE, "content": {"a": n}}
        for n in range(100)
    ]
    await server.syncs(joined(*garbage, state=[ENCRYPTION]))
    async with Harbour(homeserver, key_wait_seconds=0.2).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)

        late = [await harbour.reader.decrypt_later(inbound) for inbound in harbour.arrived]

    assert late == harbour.arrived
    assert list(harbour.reader._keyless) == [(ROOM, ALICE)]  # noqa: SLF001


def edit(body: str, event_id: str, *, at_ms: int = 1) -> dict[str, object]:
    relation = {"rel_type": "m.replace", "event_id": "$q"}
    new = {"msgtype": "m.text", "body": body}
    content = {"msgtype": "m.text", "m.relates_to": relation, "m.new_content": new}
    return text("", event_id) | {"content": content, "origin_server_ts": at_ms}


def redaction(event_id: str) -> dict[str, object]:
    return text("") | {
        "type": "m.room.redaction",
        "event_id": event_id,
        "content": {"redacts": "$q"},
    }


def _olm(own_key: str, kind: int, body: object) -> dict[str, object]:
    return {
        "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "sender_key": "k" * 43,
        "ciphertext": {own_key: {"type": kind, "body": body}},
    }


async def _own_key(server: ScriptedHomeserver, homeserver: Homeserver) -> str:
    await homeserver.exchange_keys()
    keys = server.asked("keys.upload")[0].body["device_keys"]["keys"]
    return str(keys["curve25519:DEVICE"])


INVITED_TOO = {
    "rooms": INVITED["rooms"] | {"join": {"!other": {"timeline": {"events": [text("old")]}}}}
}
