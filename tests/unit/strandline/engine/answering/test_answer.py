from typing import Any

import pytest
from attrs import evolve

from ephemeral.agents.api import AgentFailed, FailureReason
from fsm import EventKind, Inbound
from fsm.values.ids import AgentId, EventId, RoomId, UserId
from fsm.values.messages import Attachment
from strandline.engine.answering.answer import ActiveAnswer, FirstMessage, Stop
from strandline.engine.outbox import head_id
from tests.unit.strandline.engine.answering.answers import answer_to, question_of

INBOUND = Inbound(
    event_id=EventId("$q"),
    room_id=RoomId("!room"),
    sender=UserId("@alice:x"),
    kind=EventKind.TEXT,
    body="tell me",
)
QUESTION = question_of(INBOUND)
FILE = Attachment(event_id=EventId("$file"), name="a.png", mimetype="image/png", url="mxc://x/a")
CONTENT: dict[str, Any] = {"body": "plot.svg"}


def an_answer(*, is_begun: bool = False) -> ActiveAnswer:
    answer = answer_to(QUESTION)
    answer.head.is_begun = is_begun
    return answer


def test_a_head_is_named_by_what_is_known_of_it() -> None:
    head = FirstMessage(EventId("$q"), 2)

    not_sent = head.ref
    head.is_begun = True
    on_its_way = head.ref
    head.settle(EventId("$head"))
    in_the_room = head.ref

    assert (not_sent, in_the_room) == (None, "$head")
    assert on_its_way == head_id(EventId("$q"), 2)


def test_a_head_that_is_refused_has_no_name_and_what_is_heard_later_changes_nothing() -> None:
    head = FirstMessage(EventId("$q"), 0)
    head.is_begun = True

    head.settle(None)
    head.settle(EventId("$late"))

    assert (head.ref, head.event_id) == (None, None)


async def test_a_reply_names_all_messages_that_were_put_to_the_agent() -> None:
    answer = answer_to(evolve(QUESTION, attachments=(FILE,)))
    answer.interrupt(evolve(QUESTION, request_id=EventId("$more")))

    reply = answer.reply("so far")

    assert (reply.text, reply.in_reply_to, reply.mention) == ("so far", "$q", "@alice:x")
    assert reply.answer is not None
    assert (reply.answer.question, reply.answer.also) == ("$q", ("$file", "$more"))


async def test_the_reply_to_a_question_asked_again_names_the_first_question() -> None:
    first = evolve(INBOUND, event_id=EventId("$first"), parts=(EventId("$part"),))
    answer = answer_to(evolve(QUESTION, again=first, attachments=(FILE,)))

    ref = answer.reply("").answer

    assert ref is not None
    assert (ref.question, ref.also) == ("$first", ("$part", "$file"))


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (None, "a word"),
        (
            AgentFailed(AgentId("a1"), "away", FailureReason.CUT_OFF),
            "a word\n\nThe answer of agent `a1` was cut off here. To ask again, send `!retry`.",
        ),
        (
            TimeoutError(),
            (
                "a word\n\nAgent `a1` did not finish its answer within 1 second. "
                "To ask again, send `!retry`."
            ),
        ),
    ],
)
async def test_what_kept_the_agent_from_its_end_is_said_below_its_words(
    failure: AgentFailed | TimeoutError | None, text: str
) -> None:
    answer = an_answer()

    answer.complete("a word\n", failure)

    assert (answer.text, answer.is_empty) == (text, False)


async def test_an_answer_without_a_word_or_a_file_says_that_it_is_empty() -> None:
    answer = an_answer()

    answer.complete("")

    assert answer.text == "_The agent's answer was empty. Please rephrase your question._"
    assert answer.is_empty


async def test_an_answer_that_is_interrupted_before_its_first_word_says_nothing() -> None:
    answer = an_answer()
    answer.interrupt(evolve(QUESTION, request_id=EventId("$more")))

    answer.complete("")

    assert (answer.text, answer.is_outdated) == ("", True)


@pytest.mark.parametrize(
    ("is_begun", "text"), [(True, "_The answer is in the files below._"), (False, "")]
)
async def test_an_answer_of_files_needs_words_only_where_a_message_waits_for_them(
    is_begun: bool,  # noqa: FBT001
    text: str,
) -> None:
    answer = an_answer(is_begun=is_begun)
    answer.files.append(CONTENT)

    answer.complete("")

    assert (answer.text, answer.is_empty) == (text, False)


async def test_an_answer_that_is_stopped_before_its_first_word_says_so() -> None:
    answer = an_answer()
    answer.interrupt(Stop())

    answer.end()

    assert answer.text == "_Stopped._"


async def test_nothing_that_came_is_left_after_a_restart() -> None:
    answer = an_answer()
    answer.files.append(CONTENT)
    answer.complete("half an ans")
    answer.interrupt(evolve(QUESTION, request_id=EventId("$more")))

    answer.restart()

    assert (answer.text, answer.files, answer.is_outdated) == ("", [], False)
    assert [joined.request_id for joined in answer.joined] == ["$more"]
