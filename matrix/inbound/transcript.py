"""Reads the questions and answers of a chat from its room, newest first.

They are the context for an agent without a memory. No transcript is stored: the room contains the
questions and the answers, and each message of an answer names its question.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from attrs import define, evolve, field, frozen

from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.inbound import Inbound
from fsm.values.messages import AnswerRef
from matrix.api import fields
from matrix.api.content import read_answer_ref
from matrix.api.homeserver import Homeserver
from matrix.inbound.parse import parse, text_of

Json = dict[str, Any]

MAX_PAGES = 50
"""Maximum pages of 100 events that are read. A streamed answer of a minute has about 60 events, one
for each edit."""


@frozen(kw_only=True)
class QuestionAnswer:
    """A question to an agent and the agent's answer.

    Args:
        question: The question, as edited, with the texts and files that were sent to the agent with
            it.
        answer: The answer, as edited, Markdown.
        mark: The reference in the answer, which names the question and the chat.
    """

    question: Inbound
    answer: str
    mark: AnswerRef


@define
class _Answer:
    mark: AnswerRef
    request: EventId | None
    parts: list[str] = field(factory=list)


class Transcript:
    """Reads the questions to agents, and the answers, in one room.

    Args:
        homeserver: The homeserver.
        room_id: The room.
    """

    def __init__(self, homeserver: Homeserver, room_id: RoomId) -> None:
        self._homeserver = homeserver
        self._room_id = room_id
        self._edits: dict[tuple[EventId, UserId], Json] = {}
        self._answers: dict[EventId, _Answer] = {}

    async def exchanges(self) -> AsyncIterator[QuestionAnswer]:
        """Yield the questions with their answers, newest question first.

        Edits and redactions are applied. Questions without an answer are left out.

        Raises:
            MatrixError: The room can't be read.
        """
        token: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._page(token)
            for raw in page.events:
                for question, answer in self._take(raw):
                    whole = await self._whole(question, answer.mark)
                    text = "\n\n".join(reversed(answer.parts))
                    yield QuestionAnswer(question=whole, answer=text, mark=answer.mark)
            if page.end in (None, token):
                return
            token = page.end

    async def _page(self, token: str | None) -> Any:
        return await self._homeserver.retry(
            lambda: self._homeserver.page(self._room_id, direction="b", start=token)
        )

    def _take(self, raw: Json) -> Iterator[tuple[Inbound, _Answer]]:
        """Process the next older event; yield it with its answer if it is an answered question.

        An edit, or a message of an answer, is kept until the message or question to which it
        belongs is read.
        """
        content = fields.fields(raw, "content")
        relation = fields.fields(content, "m.relates_to")
        event_id, sender = fields.event_id(raw, "event_id"), fields.user_id(raw, "sender")
        if event_id is None or sender is None:
            return
        if relation.get("rel_type") == "m.replace":
            if (target := fields.event_id(relation, "event_id")) is not None:
                new = fields.fields(content, "m.new_content")
                self._edits.setdefault((target, sender), new)
            return
        raw = self._with_edit(raw)
        if sender == self._homeserver.user_id:
            self._keep_answer_part(fields.fields(raw, "content"), relation)
        elif (answer := self._answers.pop(event_id, None)) is not None:
            question = parse(raw, room_id=self._room_id, bot=self._homeserver.user_id)
            if question is not None:
                yield question, answer

    def _keep_answer_part(self, content: Json, relation: Json) -> None:
        """Keep a message of the bot if it is part of an answer.

        A message of an earlier attempt to answer the same question is left out.

        Args:
            content: The message's content, as edited.
            relation: The ``m.relates_to`` of the original message.
        """
        mark, text = read_answer_ref(content), text_of(content)
        if mark is None:
            return
        request = fields.event_id(fields.fields(relation, "m.in_reply_to"), "event_id")
        answer = self._answers.setdefault(mark.question, _Answer(mark, request))
        if answer.request == request and text:  # otherwise the question was retried since
            answer.parts.append(text)

    def _with_edit(self, raw: Json) -> Json:
        event_id, sender = fields.event_id(raw, "event_id"), fields.user_id(raw, "sender")
        if event_id is None or sender is None:
            return raw
        new = self._edits.pop((event_id, sender), None)
        return raw if new is None else raw | {"content": fields.fields(raw, "content") | new}

    async def _whole(self, question: Inbound, mark: AnswerRef) -> Inbound:
        """Return the question with the texts and files that were sent to the agent with it.

        Args:
            question: The message that the answer names as its question.
            mark: The reference in the answer, which names the other messages.
        """
        question = evolve(question, parts=mark.also)
        for event_id in mark.also:
            found = await self._event(event_id, question.sender)
            if found is not None:
                body = "\n\n".join(filter(None, (question.body, found.body)))
                files = (*question.attachments, *found.attachments)
                question = evolve(question, body=body, attachments=files)
        return question

    async def _event(self, event_id: EventId, sender: UserId) -> Inbound | None:
        raw = await self._homeserver.retry(lambda: self._homeserver.event(self._room_id, event_id))
        if raw is None or raw.get("sender") != sender:
            return None
        return parse(self._with_edit(raw), room_id=self._room_id, bot=self._homeserver.user_id)
