"""Strandline's own keys in the content of events, and the functions that write and read them."""

from typing import Any

from attrs import asdict

from fsm.values.ids import EventId, PlatformChatId
from fsm.values.messages import AnswerRef, QuestionRef
from matrix.api import fields

Json = dict[str, Any]

TRANSACTION_ID_KEY = "org.strandline.turn"
"""Key of the transaction id of an event. Every message, edit and reaction of the bot has it."""

BY_KEY = "org.strandline.by"
"""Key of the user id of the bot that sent an event. When a user forwards the event, the copy keeps
this key but has another sender."""

QUESTION_KEY = "org.strandline.question"
"""Key that marks a message as a flow's question. Its value is a ``QuestionRef`` as JSON."""

ANSWER_KEY = "org.strandline.answer"
"""Key that marks a message as part of an agent's answer. Its value is an ``AnswerRef`` as JSON,
which names the user's question."""


def question_ref_content(ref: QuestionRef) -> Json:
    """Return the part of a message's content that marks the message as a flow's question."""
    return {QUESTION_KEY: asdict(ref)}


def answer_ref_content(ref: AnswerRef) -> Json:
    """Return the part of a message's content that marks the message as an agent's answer."""
    content: Json = {"chat": ref.chat, "question": ref.question}
    content |= {"also": list(ref.also)} if ref.also else {}
    content |= {"empty": True} if ref.is_empty else {}
    return {ANSWER_KEY: content}


def read_question_ref(content: Json) -> QuestionRef | None:
    """Return the reference of a flow's question in a message; None if there is no valid one."""
    found = fields.fields(content, QUESTION_KEY)
    flow, question, life = (fields.text(found, name) for name in ("flow", "id", "life"))
    asker = fields.user_id(found, "asker")
    if flow is None or question is None or life is None:
        return None
    if asker is None and found.get("asker") is not None:
        return None
    return QuestionRef(flow=flow, id=EventId(question), life=life, asker=asker)


def read_answer_ref(content: Json) -> AnswerRef | None:
    """Return the reference of an agent's answer in a message; None if there is no valid one."""
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
    """Return whether a message was redacted, which leaves its content empty.

    Args:
        raw: The event; None if it could not be read. The result is then False.
    """
    return raw is not None and not fields.fields(raw, "content")
