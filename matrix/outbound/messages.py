"""The content of the messages and reactions that the bot sends. Pure."""

from typing import Any

from fsm.values.ids import EventId, TransactionId, UserId
from fsm.values.messages import AnswerRef, QuestionRef
from matrix.api.content import TRANSACTION_ID_KEY, answer_ref_content, question_ref_content
from matrix.outbound.markdown import html_of
from matrix.outbound.split import harmless

MESSAGE = "m.room.message"
REACTION = "m.reaction"

EDIT_FALLBACK_CHARS = 200
"""Maximum characters of an edit's text in the fallback for clients that don't know edits."""

Json = dict[str, Any]


def message_content(  # noqa: PLR0913  # what a message may carry
    text: str,
    *,
    transaction_id: TransactionId,
    in_reply_to: EventId | None = None,
    thread: EventId | None = None,
    mention: UserId | None = None,
    mark: QuestionRef | None = None,
    answer: AnswerRef | None = None,
    notice: bool = False,
) -> Json:
    """Return the content of an ``m.room.message`` with this text.

    Args:
        text: The text, Markdown. It must be short enough that ``split_text`` does not split it.
        transaction_id: The transaction id with which the message is sent.
        in_reply_to: The event to which the message replies, or None.
        thread: The root of the message's thread, or None.
        mention: The user to notify, or None.
        mark: The question's reference, if the message is the question of a flow; else None.
        answer: The reference of the user's question, if the message is an agent's answer; else
            None.
        notice: Whether to send the message as ``m.notice``, which other bots don't answer.
    """
    content = _text_content(text, "m.notice" if notice else "m.text")
    if mention is not None:
        content["m.mentions"] = {"user_ids": [mention]}
    relation: Json = {}
    if thread is not None:
        relation = {"rel_type": "m.thread", "event_id": thread, "is_falling_back": False}
    if in_reply_to is not None:
        relation["m.in_reply_to"] = {"event_id": in_reply_to}
    if relation:
        content["m.relates_to"] = relation
    if mark is not None:
        content |= question_ref_content(mark)
    if answer is not None:
        content |= answer_ref_content(answer)
    return content | {TRANSACTION_ID_KEY: transaction_id}


def edit_content(
    text: str,
    *,
    edits: EventId,
    transaction_id: TransactionId,
    answer: AnswerRef | None = None,
    notice: bool = False,
) -> Json:
    """Return the content of an ``m.room.message`` that replaces the text of an earlier message.

    Args:
        text: The new text, Markdown. It must be short enough that ``split_text`` does not split it.
        edits: The event id of the earlier message.
        transaction_id: The transaction id with which the edit is sent.
        answer: The reference of the user's question, if the message is an agent's answer; else
            None.
        notice: Whether the earlier message is an ``m.notice``.
    """
    msgtype = "m.notice" if notice else "m.text"
    new = _text_content(text, msgtype)
    if answer is not None:
        new |= answer_ref_content(answer)
    return {
        "msgtype": msgtype,
        "body": "* " + harmless(text[:EDIT_FALLBACK_CHARS]),
        "m.mentions": {},
        "m.new_content": new,
        "m.relates_to": {"rel_type": "m.replace", "event_id": edits},
        TRANSACTION_ID_KEY: transaction_id,
    }


def reaction_content(key: str, *, about: EventId, transaction_id: TransactionId) -> Json:
    """The content of an ``m.reaction`` that puts ``key`` on the event ``about``."""
    relation = {"rel_type": "m.annotation", "event_id": about, "key": key}
    return {"m.relates_to": relation, TRANSACTION_ID_KEY: transaction_id}


def _text_content(text: str, msgtype: str) -> Json:
    body = harmless(text)
    # An empty m.mentions notifies nobody, even if the text contains names or "@room".
    content: Json = {"msgtype": msgtype, "body": body, "m.mentions": {}}
    rendered = html_of(body)
    if rendered is not None:
        content |= {"format": "org.matrix.custom.html", "formatted_body": rendered}
    return content
