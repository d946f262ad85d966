from datetime import timedelta

import pytest
from attrs import evolve

from ephemeral.flows.load_selection import CancelSelection
from fsm import Answer, Attachment, Command, Expiry, Reaction, Snapshot, Text, Triggered
from fsm.effects import Edit
from fsm.events import Stimulus
from fsm.values.ids import ChatId, EventId
from fsm.values.messages import Choice, Choices, QuestionRef
from fsm.values.signals import LoadChat, OfferChats
from tests.support.talk import (
    ALICE,
    BOB,
    LIFE,
    ROOM,
    Talk,
    edits,
    question_of,
    registry,
    said,
    signals,
)

ITEMS = (
    Choice(ChatId("C2"), "Plans", "agent-1, last used yesterday"),
    Choice(ChatId("C5"), "Chat 5", ""),
)
OFFER = Triggered(OfferChats(Choices(ITEMS)))
LISTED = "1. **Plans**: agent-1, last used yesterday\n2. **Chat 5**"
OLD = QuestionRef(flow="loadselection", id=EventId("$old"), life="earlier-life", asker=ALICE)


@pytest.fixture
def talk() -> Talk:
    return Talk(registry("agent-1"))


async def offered(talk: Talk, *items: Choice) -> tuple[Snapshot, QuestionRef]:
    offer = Triggered(OfferChats(Choices(items or ITEMS)))
    after, turn = await talk.step(talk.selection, offer)
    return after, question_of(turn)[0]


async def test_the_list_is_numbered_and_says_how_to_answer(talk: Talk) -> None:
    after, turn = await talk.step(talk.selection, OFFER)

    assert after.state == "choosing"
    assert question_of(turn)[0] == QuestionRef(
        flow="loadselection", id=turn.inbound.event_id, life=LIFE, asker=ALICE
    )
    assert said(turn) == (
        f"Which chat should I restore?\n\n{LISTED}\n\nAnswer with its number within 5 minutes, "
        "or react to this message with ❌ to cancel."
    )


@pytest.mark.parametrize("way", ["text", "command", "reply"])
@pytest.mark.parametrize(("number", "chat_id"), [("1", "C2"), (" 2 ", "C5")])
async def test_a_number_loads_that_chat(talk: Talk, way: str, number: str, chat_id: str) -> None:
    choosing, mark = await offered(talk)
    ways: dict[str, Stimulus] = {
        "text": Text(number),
        "command": Command("load", number),
        "reply": Answer(number, mark),
    }

    after, turn = await talk.step(talk.selection, ways[way], at=choosing)

    assert after == talk.selection.at_rest
    assert turn.signals == [Triggered(LoadChat(ChatId(chat_id)))]
    assert turn.effects == []


@pytest.mark.parametrize("number", ["0", "3", "999999"])
@pytest.mark.parametrize("way", ["text", "command", "reply"])
async def test_a_number_that_is_not_on_the_list_is_told_the_range(
    talk: Talk, way: str, number: str
) -> None:
    choosing, mark = await offered(talk)
    ways: dict[str, Stimulus] = {
        "text": Text(number),
        "command": Command("load", number),
        "reply": Answer(number, mark),
    }

    after, turn = await talk.step(talk.selection, ways[way], at=choosing)

    assert after == choosing
    assert signals(turn) == []
    assert "a number from 1 to 2" in said(turn)


async def test_a_check_mark_means_the_only_chat_that_there_is(talk: Talk) -> None:
    one, mark = await offered(talk, ITEMS[1])
    two, of_two = await offered(talk)

    _, loaded = await talk.step(talk.selection, Reaction("✅", mark), at=one)
    _, missed = await talk.step(talk.selection, Text("2"), at=one)
    _, unclear = await talk.step(talk.selection, Reaction("✅", of_two), at=two)

    assert loaded.signals == [Triggered(LoadChat(ChatId("C5")))]
    assert "There is 1 chat on the list" in said(missed)
    assert unclear.signals == []
    assert "a number from 1 to 2" in said(unclear)


@pytest.mark.parametrize("way", ["!no", "❌", "no", "Нет"])
async def test_no_in_any_way_brings_nothing_back(talk: Talk, way: str) -> None:
    choosing, mark = await offered(talk)
    ways: dict[str, Stimulus] = {"!no": Command("no"), "❌": Reaction("❌", mark)}

    after, turn = await talk.step(talk.selection, ways.get(way, Answer(way, mark)), at=choosing)

    assert after == talk.selection.at_rest
    assert signals(turn) == []
    assert said(turn) == "OK, no chat was restored."


async def test_a_list_waits_as_long_as_the_config_says(talk: Talk) -> None:
    assert talk.selection.lifetime(talk.selection.choosing) == timedelta(minutes=5)


async def test_cancel_drops_the_list_and_is_silent_where_there_is_none(talk: Talk) -> None:
    choosing, _ = await offered(talk)
    cancel = Triggered(CancelSelection())

    after, turn = await talk.step(talk.selection, cancel, at=choosing)
    still, silent = await talk.step(talk.selection, cancel)

    assert after == still == talk.selection.at_rest
    assert said(turn) == "OK, no chat was restored."
    assert silent.effects == []


@pytest.mark.parametrize(
    "body", ["hello", "1 and 2", "-1", "²", "1.5", "no", "yes", "1234567", "9" * 5000]
)
async def test_what_is_no_number_goes_on_to_the_agent(talk: Talk, body: str) -> None:
    choosing, _ = await offered(talk)

    assert not await talk.answers(talk.selection, Text(body), at=choosing)


async def test_what_is_no_answer_is_left_to_other_flows(talk: Talk) -> None:
    choosing, mark = await offered(talk)
    others: list[Stimulus] = [
        Answer("why?", mark),
        Answer("", mark),
        Answer("why?", OLD),
        Reaction("👍", mark),
        Command("load"),
        Command("load", "Plans"),
        Command("yes"),
    ]

    assert not any([await talk.answers(talk.selection, s, at=choosing) for s in others])


async def test_a_caption_that_is_a_number_explains_its_file(talk: Talk) -> None:
    choosing, _ = await offered(talk)
    file = Attachment(event_id=EventId("$f"), name="a.png")

    assert not await talk.answers(talk.selection, Text("1"), at=choosing, attachments=(file,))


async def test_with_no_list_open_a_number_is_nothing_to_choose(talk: Talk) -> None:
    for stimulus in (Text("1"), Command("load", "1"), Command("no")):
        assert not await talk.answers(talk.selection, stimulus)
    assert talk.selection.key(ROOM, ALICE) != talk.selection.key(ROOM, BOB)


async def test_a_second_list_replaces_the_first_and_both_say_so(talk: Talk) -> None:
    first, turn = await talk.step(talk.selection, OFFER)
    mark, sent_as = question_of(turn)

    second, turn = await talk.step(talk.selection, OFFER, at=first)
    _, late = await talk.step(talk.selection, Answer("1", mark), at=second)

    assert said(turn).startswith("This replaces the earlier list.\n\nWhich chat")
    text = f"{LISTED}\n\nThis list was replaced by a newer one."
    assert edits(turn) == [Edit(room_id=ROOM, text=text, sent_as=sent_as)]
    assert signals(late) == []
    assert "is closed" in said(late)


async def test_a_list_whose_time_is_up_says_so_itself(talk: Talk) -> None:
    choosing, turn = await talk.step(talk.selection, OFFER)

    after, lapsed = await talk.step(talk.selection, Expiry(), at=choosing)

    text = f"{LISTED}\n\nThis list expired. `!load` shows it again."
    assert after == talk.selection.at_rest
    assert lapsed.effects == [Edit(room_id=ROOM, text=text, sent_as=question_of(turn)[1])]


@pytest.mark.parametrize(
    "stimulus", [Reaction("✅", OLD), Reaction("❌", OLD), Answer("7", OLD), Answer(" Нет", OLD)]
)
@pytest.mark.parametrize("is_choosing", [False, True])
async def test_an_answer_to_a_list_of_an_earlier_life_is_told_and_closes_it(
    talk: Talk, stimulus: Reaction | Answer, *, is_choosing: bool
) -> None:
    before = (await offered(talk))[0] if is_choosing else talk.selection.at_rest

    after, turn = await talk.step(talk.selection, stimulus, at=before, about=EventId("$list"))

    restarted = "I restarted at 2026-01-02 03:04:05 UTC"
    assert after == before
    assert turn.signals == []
    assert said(turn) == f"{restarted} and lost this list. `!load` shows it again."
    assert edits(turn) == [
        Edit(
            room_id=ROOM,
            text=f"This list expired: {restarted}.",
            event_id=EventId("$list"),
        )
    ]


async def test_an_answer_to_a_closed_list_of_this_life_leaves_it_as_it_reads(talk: Talk) -> None:
    after, turn = await talk.step(talk.selection, Answer("1", evolve(OLD, life=LIFE)))

    assert after == talk.selection.at_rest
    assert "`!load` shows it again" in said(turn)
    assert edits(turn) == []
