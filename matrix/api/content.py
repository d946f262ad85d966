"""Our own keys in the content of events: outbound writes them, inbound reads them."""

from typing import Any

from attrs import asdict

from fsm.values.ids import EventId, PlatformChatId
from fsm.values.messages import AnswerRef, QuestionRef
from matrix.api import fields

Json = dict[str, Any]

TURN_KEY = "org.strandline.turn"
"""The transaction id of the event. Every event that the bot sends has it."""

BY_KEY = "org.strandline.by"
"""The bot that sent the event. A forwarded event keeps this key and has another sender."""

QUESTION_KEY = "org.strandline.question"
"""Which question of a flow the message is (``QuestionRef``)."""

ANSWER_KEY = "org.strandline.answer"
"""Which user's question the message answers, as an agent's answer (``AnswerRef``)."""


def question_ref_content(ref: QuestionRef) -> Json:
    """The content's part with a question's reference, for ``read_question_ref``."""
    return {QUESTION_KEY: asdict(ref)}


def answer_ref_content(ref: AnswerRef) -> Json:
    """The content's part with an answer's reference, for ``read_answer_ref``."""
    content: Json = {"chat": ref.chat, "question": ref.question}
    content |= {"also": list(ref.also)} if ref.also else {}
    content |= {"empty": True} if ref.is_empty else {}
    return {ANSWER_KEY: content}


def read_question_ref(content: Json) -> QuestionRef | None:
    """The reference of a flow's question in a message; None if there is no valid one."""
    found = fields.fields(content, QUESTION_KEY)
    flow, question, life = (fields.text(found, name) for name in ("flow", "id", "life"))
    asker = fields.user_id(found, "asker")
    if flow is None or question is None or life is None:
        return None
    if asker is None and found.get("asker") is not None:
        return None
    return QuestionRef(flow=flow, id=EventId(question), life=life, asker=asker)


def read_answer_ref(content: Json) -> AnswerRef | None:
    """The reference of an agent's answer in a message; None if there is no valid one."""
    found = fields.fields(content, ANSWER_KEY)
    chat, question = fields.text(found, "chat"), fields.event_id(found, "question")
    also = found.get("also", [])
    if chat is None or question is None or not isinstance(also, list):
        return None
    ids = (fields.event_id({"id": each}, "id") for each in also)
    return AnswerRef(
        chat=PlatformChatId(chat),
        question=question,
        also=tuple(each for each in ids if each is not None),
        is_empty=found.get("empty") is True,
    )


def is_redacted(raw: Json | None) -> bool:
    """Whether a message was redacted: its content is empty."""
    return raw is not None and not fields.fields(raw, "content")
