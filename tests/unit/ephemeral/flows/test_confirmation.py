import pytest
from attrs import evolve

from durable.flows.signals import ArchiveRoom, RebindRoom
from ephemeral.flows.confirmation import CancelConfirmation
from fsm import AgentEntry, Answer, Command, Expiry, Reaction, Snapshot, Text, Triggered
from fsm.effects import Edit, Reply
from fsm.events import Stimulus
from fsm.values.ids import AgentId, EventId
from fsm.values.messages import Question, QuestionRef
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

AGENT = AgentEntry(id=AgentId("agent-2"), name="Agent-2", kind="echo")
ARCHIVE = Triggered(ArchiveRoom())
ASK = Triggered(Question("Archive?", then=ARCHIVE))
OLD = QuestionRef(flow="confirmation", id=EventId("$old"), life="earlier-life", asker=ALICE)


@pytest.fixture
def talk() -> Talk:
    return Talk(registry("agent-1"))


async def asked(talk: Talk) -> tuple[Snapshot, QuestionRef]:
    after, turn = await talk.step(talk.confirmation, ASK)
    return after, question_of(turn)[0]


async def test_a_question_says_how_to_answer_and_what_it_is(talk: Talk) -> None:
    after, turn = await talk.step(talk.confirmation, ASK)

    assert after.state == "awaiting"
    mark = QuestionRef(flow="confirmation", id=turn.inbound.event_id, life=LIFE, asker=ALICE)
    text = (
        "Archive? Answer with `!yes` or `!no`, or react to this message with ✅ or ❌, "
        "within 5 minutes."
    )
    assert turn.effects == [
        Reply(
            room_id=ROOM,
            text=text,
            in_reply_to=turn.inbound.event_id,
            mention=ALICE,
            question_ref=mark,
        )
    ]


async def test_yes_triggers_what_was_asked_about(talk: Talk) -> None:
    awaiting, _ = await asked(talk)

    after, turn = await talk.step(talk.confirmation, Command("yes"), at=awaiting)

    assert after == talk.confirmation.at_rest
    assert turn.signals == [ARCHIVE]
    assert turn.effects == []


@pytest.mark.parametrize("key", ["✅", "✅\ufe0f"])
async def test_a_check_mark_on_the_question_means_yes(talk: Talk, key: str) -> None:
    awaiting, mark = await asked(talk)

    after, turn = await talk.step(talk.confirmation, Reaction(key, mark), at=awaiting)

    assert after == talk.confirmation.at_rest
    assert turn.signals == [ARCHIVE]


@pytest.mark.parametrize("body", ["yes", "Y", " Да\n", "д"])
async def test_a_reply_to_the_question_can_say_yes(talk: Talk, body: str) -> None:
    awaiting, mark = await asked(talk)

    after, turn = await talk.step(talk.confirmation, Answer(body, mark), at=awaiting)

    assert after == talk.confirmation.at_rest
    assert turn.signals == [ARCHIVE]


@pytest.mark.parametrize("answer", ["!no", "❌", "no", "N", "Нет", "н"])
async def test_no_in_any_way_leaves_everything_as_it_was(talk: Talk, answer: str) -> None:
    awaiting, mark = await asked(talk)
    stimuli: dict[str, Stimulus] = {"!no": Command("no"), "❌": Reaction("❌", mark)}
    stimulus = stimuli.get(answer, Answer(answer, mark))

    after, turn = await talk.step(talk.confirmation, stimulus, at=awaiting)

    assert after == talk.confirmation.at_rest
    assert signals(turn) == []
    assert said(turn) == "OK, nothing was changed."


async def test_cancel_drops_the_question_and_is_silent_where_there_is_none(talk: Talk) -> None:
    awaiting, _ = await asked(talk)

    after, turn = await talk.step(talk.confirmation, Triggered(CancelConfirmation()), at=awaiting)
    still, silent = await talk.step(talk.confirmation, Triggered(CancelConfirmation()))

    assert after == still == talk.confirmation.at_rest
    assert said(turn) == "OK, nothing was changed."
    assert silent.effects == []


async def test_what_is_no_answer_is_left_to_other_flows(talk: Talk) -> None:
    awaiting, mark = await asked(talk)

    for stimulus in (Text("yes"), Answer("why?", mark), Reaction("👍", mark), Command("load")):
        assert not await talk.answers(talk.confirmation, stimulus, at=awaiting)
        assert not await talk.answers(talk.confirmation, stimulus)
    for name in ("yes", "no"):
        assert not await talk.answers(talk.confirmation, Command(name))


async def test_another_user_has_another_conversation(talk: Talk) -> None:
    assert talk.confirmation.key(ROOM, ALICE) != talk.confirmation.key(ROOM, BOB)


async def test_a_second_question_replaces_the_first_and_both_say_so(talk: Talk) -> None:
    first, turn = await talk.step(talk.confirmation, ASK)
    mark, sent_as = question_of(turn)
    rebind = Triggered(Question("Rebind?", then=Triggered(RebindRoom(AGENT))))

    second, turn = await talk.step(talk.confirmation, rebind, at=first)
    _, late = await talk.step(talk.confirmation, Reaction("✅", mark), at=second)
    _, yes = await talk.step(talk.confirmation, Reaction("✅", question_of(turn)[0]), at=second)

    assert said(turn).startswith("This replaces the earlier question.\n\nRebind? Answer")
    text = "Archive?\n\nThis question was replaced by a newer one; nothing was changed."
    assert edits(turn) == [Edit(room_id=ROOM, text=text, sent_as=sent_as)]
    assert signals(late) == []
    assert "is closed" in said(late)
    assert signals(yes) == [RebindRoom]


async def test_a_question_whose_time_is_up_says_so_itself(talk: Talk) -> None:
    awaiting, turn = await talk.step(talk.confirmation, ASK)

    after, lapsed = await talk.step(talk.confirmation, Expiry(), at=awaiting)

    text = (
        "Archive?\n\nThis question expired and nothing was changed. "
        "If you still want this, send the command again."
    )
    assert after == talk.confirmation.at_rest
    assert lapsed.effects == [Edit(room_id=ROOM, text=text, sent_as=question_of(turn)[1])]


@pytest.mark.parametrize("stimulus", [Reaction("✅", OLD), Reaction("❌", OLD), Answer("да", OLD)])
@pytest.mark.parametrize("is_awaiting", [False, True])
async def test_an_answer_to_a_question_of_an_earlier_life_is_told_and_closes_it(
    talk: Talk, stimulus: Reaction | Answer, *, is_awaiting: bool
) -> None:
    before = (await asked(talk))[0] if is_awaiting else talk.confirmation.at_rest

    after, turn = await talk.step(
        talk.confirmation, stimulus, at=before, about=EventId("$question")
    )

    restarted = "I restarted at 2026-01-02 03:04:05 UTC"
    closed = f"This question expired: {restarted}."
    assert after == before
    assert turn.signals == []
    assert said(turn) == (
        f"{restarted} and lost this question. If you still want this, send the command again."
    )
    assert edits(turn) == [Edit(room_id=ROOM, text=closed, event_id=EventId("$question"))]


async def test_an_answer_to_a_closed_question_of_this_life_leaves_it_as_it_reads(
    talk: Talk,
) -> None:
    """It was answered, or edited when it lapsed: “nothing was changed” could be a lie."""
    mark = evolve(OLD, life=LIFE)

    after, turn = await talk.step(talk.confirmation, Reaction("❌", mark))

    assert after == talk.confirmation.at_rest
    assert "was answered, replaced, or it expired" in said(turn)
    assert edits(turn) == []
