"""Answers in progress, as the engine begins them."""

from fsm import Inbound, Translator
from fsm.effects import AskAgent
from fsm.values.ids import AgentId, PlatformChatId
from strandline.engine.answering.answer import ActiveAnswer, AnswerTexts


def question_of(inbound: Inbound) -> AskAgent:
    """What a plain message asks an agent."""
    return AskAgent(
        room_id=inbound.room_id,
        agent_id=AgentId("a1"),
        platform_chat_id=PlatformChatId("1"),
        request_id=inbound.event_id,
        text=inbound.body,
        inbound=inbound,
    )


def answer_to(question: AskAgent) -> ActiveAnswer:
    """An answer of which nothing has come."""
    texts = AnswerTexts(Translator(), question.agent_id, "!retry")
    return ActiveAnswer(question, 0, texts, timeout_seconds=1)
