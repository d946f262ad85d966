"""Answers of agents as they are shown: what the agent said, and what the bot has to add."""

from datetime import timedelta
from typing import Any

import structlog
from attrs import define, field

from ephemeral.agents.api import AgentFailed, QueuePosition
from fsm.effects import AskAgent, Reply
from fsm.values.messages import AnswerRef
from fsm.values.translation import sentence
from matrix import Amendment
from strandline.engine.answering.edits import ActiveAnswer, Stop
from strandline.flows.languages import tongue

_log = structlog.get_logger(__name__)


@define
class Answer:
    """What has come of an answer so far.

    Args:
        begun: A part of it stands in the room, or will.
        text: What is to be shown, Markdown.
        files: The contents of the messages that show its files.
        is_empty: The agent has said nothing: the text is the bot's own.
    """

    begun: bool = False
    text: str = ""
    files: list[dict[str, Any]] = field(factory=list)
    is_empty: bool = False


TAKEN_BACK = sentence("_The question was taken back._")


def end(answer: Answer, question: AskAgent, held: ActiveAnswer, head: str | None) -> None:
    """What stays of it, if it was ended: nothing, if its question was taken back unanswered."""
    match held.ended:
        case Stop():
            stopped = tongue(question.language).t("_Stopped._")
            answer.text = f"{answer.text}\n\n{stopped}" if answer.text else stopped
        case Amendment():
            answer.text = tongue(question.language).t(TAKEN_BACK) if head is not None else ""
            answer.is_empty = True
            answer.files.clear()
            held.joined = ()  # each has its own turn


def as_reply(question: AskAgent, text: str, held: ActiveAnswer, *, is_empty: bool = False) -> Reply:
    """The answer as a message that says to which question it belongs."""
    files = (*question.attachments, *(a for j in held.joined for a in j.attachments))
    again = question.again
    own, parts = (again.event_id, again.parts) if again else (question.request_id, ())
    also = (*parts, *(file.event_id for file in files), *(j.request_id for j in held.joined))
    return Reply(
        room_id=question.room_id,
        text=text,
        in_reply_to=question.request_id,
        thread=question.inbound.thread,
        mention=question.inbound.sender,
        answer=AnswerRef(
            chat=question.platform_chat_id,
            question=own,
            also=tuple(dict.fromkeys(event_id for event_id in also if event_id != own)),
            is_empty=is_empty,
        ),
    )


def failed(question: AskAgent, failure: AgentFailed, retry: str) -> str:
    """What the person is told of a failure."""
    trouble = failure.trouble
    _log.warning(
        "agent failed", agent=failure.agent_id, trouble=trouble.name, problem=failure.problem
    )
    return tongue(question.language).t(trouble.value, agent=failure.agent_id, retry=retry)


def in_line(question: AskAgent, waiting: QueuePosition) -> str:
    """What the person is shown while others are before them; nothing once their turn has come."""
    if not waiting.position:
        return ""
    return tongue(question.language).t(
        "_Agent `{agent}` has others to answer first. You are number {position} in the line._",
        agent=question.agent_id,
        position=waiting.position,
    )


def too_late(question: AskAgent, seconds: float, retry: str) -> str:
    """What the person is told of an answer that takes too long."""
    _log.warning("agent too late", agent=question.agent_id, answer_seconds=seconds)
    language = tongue(question.language)
    return language.t(
        "Agent `{agent}` gave no full answer within {duration}. `{retry}` asks it again.",
        agent=question.agent_id,
        retry=retry,
        duration=language.duration(timedelta(seconds=seconds)),
    )
