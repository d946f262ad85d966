"""A turn: the handling of one inbound event, as its handlers see it.

Nothing that a handler asks of its turn has happened when the call returns. The program commits
all of it in one transaction, or, if a handler raises, none of it.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from attrs import define, evolve, field

from fsm.effects import (
    AskAgent,
    Edit,
    Effect,
    Invite,
    JoinRoom,
    LeaveRoom,
    NewRoom,
    React,
    Reopen,
    Reply,
    SetState,
    effect_id,
)
from fsm.errors import TurnError
from fsm.events import Answer, Command, Reaction, Stimulus, Text, triggered
from fsm.records import BotRecords, NoRecords, Records
from fsm.values.ids import AgentId, EventId, PlatformChatId, RoomId, TransactionId, UserId
from fsm.values.inbound import EventKind, Inbound
from fsm.values.messages import Attachment, Question, QuestionRef, Triggered
from fsm.values.text import compared
from fsm.values.translation import Translator

S = TypeVar("S")


@define(kw_only=True)
class Turn:
    """What a handler reads, and what it asks for.

    Args:
        inbound: The event that this turn handles.
        now: The wall clock at the turn's start, aware UTC.
        stimulus: What this step answers: the event itself, or a signal that a handler triggered.
        data: What the state that answers carries: a record, a memory or None. For guards;
            handlers are given it.
        prefix: What commands begin with, for sentences that name one.
        translator: Says sentences in the sender's language.
        server: The name of the bot's homeserver, for links to rooms.
        life: The name of this life of the process, for questions.
        attempt: 0 the first time that the event is handled, 1 after it was reopened once, …
        effects: What is wanted so far, in order.
        signals: What this turn triggers next, in order.
        flow: The name of the flow whose handler runs.
        match: What the event's regular expression has found in the text, if it has one.
    """

    inbound: Inbound
    now: datetime
    stimulus: Stimulus
    data: Any = None
    _bot_records: BotRecords = field(factory=NoRecords)
    prefix: str = "!"
    translator: Translator = field(factory=Translator)
    server: str = ""
    life: str = ""
    attempt: int = 0
    effects: list[Effect] = field(factory=list)
    signals: list[Triggered] = field(factory=list)
    flow: str = ""
    match: re.Match[str] | None = None

    @property
    def room_id(self) -> RoomId:
        """The room of the inbound event."""
        return self.inbound.room_id

    @property
    def sender(self) -> UserId:
        """Who is behind the inbound event."""
        return self.inbound.sender

    @property
    def records(self) -> Records:
        """The durable records of the flow whose handler runs."""
        return self._bot_records.of_flow(self.flow)

    @property
    def argument(self) -> str:
        """What follows the command's name, stripped; the whole body of a text or an answer."""
        match self.stimulus:
            case Command(argument=argument):
                return argument
            case Text(body=body) | Answer(body=body):
                return body
            case _:
                return ""

    @property
    def emoji(self) -> str:
        """The reaction that is being answered, in the form in which it is compared; else empty.

        That has neither a skin tone nor a variation selector.
        """
        match self.stimulus:
            case Reaction(key=key):
                return compared(key)
            case _:
                return ""

    @property
    def question_ref(self) -> QuestionRef | None:
        """What the question that is being answered says of itself."""
        return self.stimulus.question_ref if isinstance(self.stimulus, Answer | Reaction) else None

    def signal(self, kind: type[S]) -> S:
        """The signal that is being answered.

        Args:
            kind: Its class: what the event names as ``on=``.

        Raises:
            TurnError: No signal of this class is being answered.
        """
        signal = self.stimulus.signal if isinstance(self.stimulus, Triggered) else None
        if isinstance(signal, kind):
            return signal
        problem = f"this step answers no {kind.__name__}"
        raise TurnError(problem, f"read it where only an event with on={kind.__name__} leads")

    def answering(self, stimulus: Stimulus, data: Any = None) -> "Turn":
        """The same turn, for a step that answers ``stimulus`` where a state carries ``data``."""
        return evolve(self, stimulus=stimulus, data=data)

    def gettext(self, message: str, **values: object) -> str:
        """The sentence in the sender's language, its ``{named}`` gaps filled."""
        return self.translator.gettext(message, **values)

    def ngettext(self, singular: str, plural: str, count: int, **values: object) -> str:
        """The same for a sentence that depends on a number, which fills its gap ``{count}``."""
        return self.translator.ngettext(singular, plural, count, **values)

    def reply(self, text: str) -> TransactionId:
        """Answer the inbound event in its room. ``text`` is Markdown.

        Returns:
            Under which id it will be sent: with it, ``edit`` finds the message later.
        """
        return self._say(text, in_reply_to=self._answered(), mention=self.sender)

    def ask_back(self, text: str, *, anyone: bool = False) -> TransactionId:
        """Reply with a question, to be answered by the sender.

        An emoji on it, or a reply to it, reaches the flow whose handler asks, also after a restart.

        Args:
            text: Markdown.
            anyone: Everybody's answer counts, not only the sender's.
        """
        asker = None if anyone else self.sender
        question_ref = QuestionRef(
            flow=self.flow, id=self.inbound.event_id, life=self.life, asker=asker
        )
        return self._say(
            text, in_reply_to=self._answered(), mention=self.sender, question_ref=question_ref
        )

    def say(self, text: str, *, room_id: RoomId | None = None) -> TransactionId:
        """Say something that answers no message, in the inbound event's room or another."""
        return self._say(text, room_id=room_id)

    def edit(
        self, text: str, *, event_id: EventId | None = None, sent_as: TransactionId | None = None
    ) -> None:
        """Give a message of the bot's in this room another text.

        Args:
            text: Markdown.
            event_id: The message, or
            sent_as: the id that ``reply``, ``ask_back`` or ``say`` returned for it.
        """
        self.effects.append(
            Edit(room_id=self.room_id, text=text, event_id=event_id, sent_as=sent_as)
        )

    def react(self, key: str, *, event_id: EventId | None = None) -> None:
        """Put the emoji ``key`` on the inbound event, or on another of this room."""
        self.effects.append(
            React(room_id=self.room_id, event_id=event_id or self.inbound.event_id, key=key)
        )

    def ask(
        self,
        agent_id: AgentId,
        platform_chat_id: PlatformChatId,
        text: str,
        *,
        attachments: tuple[Attachment, ...] = (),
        again: Inbound | None = None,
    ) -> None:
        """Ask an agent; its answer becomes the reply to the inbound event.

        Args:
            agent_id: Whom.
            platform_chat_id: In which of the platform's chats.
            text: The question.
            attachments: Files that go with it.
            again: The question that this is, if it is asked anew.

        Raises:
            TurnError: The turn replies already. It would be repeated with other words if the
                process died while the agent thinks.
        """
        self._exclude(Reply, "this turn replies already, and an agent's answer is a reply")
        self._exclude(AskAgent, "this turn asks an agent already")
        self.effects.append(
            AskAgent(
                room_id=self.room_id,
                agent_id=agent_id,
                platform_chat_id=platform_chat_id,
                request_id=self.inbound.event_id,
                text=text,
                attachments=attachments,
                again=again,
                language=self.translator.code,
                inbound=self.inbound,
            )
        )

    def join(self, room_id: RoomId | None = None) -> None:
        """Join the inbound event's room, or another."""
        self.effects.append(JoinRoom(room_id=room_id or self.room_id))

    def leave(self, room_id: RoomId | None = None) -> None:
        """Leave the inbound event's room or another, or decline the invite to it."""
        self.effects.append(LeaveRoom(room_id=room_id or self.room_id))

    def make_room(
        self, purpose: str, *, name: str, space_id: RoomId | None = None, is_space: bool = False
    ) -> None:
        """Have a room made for the sender; see ``NewRoom``."""
        self.effects.append(
            NewRoom(
                user_id=self.sender,
                asked_in=self.room_id,
                purpose=purpose,
                name=name,
                space_id=space_id,
                is_space=is_space,
            )
        )

    def invite(
        self, room_id: RoomId, user_id: UserId | None = None, *, asked_in: RoomId | None = None
    ) -> None:
        """Invite the sender, or somebody else, to a room.

        Args:
            room_id: To which.
            user_id: Whom; the sender, if left out.
            asked_in: Where a refusal is to be told: a turn of kind REFUSED follows there.
        """
        self.effects.append(
            Invite(room_id=room_id, user_id=user_id or self.sender, asked_in=asked_in)
        )

    def set_state(
        self,
        room_id: RoomId,
        event_type: str,
        content: Mapping[str, Any],
        *,
        state_key: str = "",
        asked_in: RoomId | None = None,
    ) -> None:
        """Set a piece of a room's state. It is set after this turn, or refused.

        Args:
            room_id: Where.
            event_type: Its type.
            content: Its content.
            state_key: Its key.
            asked_in: Where the result is reported: a turn of kind DONE or REFUSED follows
                there. Say that something is done in that turn, not in this one.
        """
        self.effects.append(
            SetState(
                room_id=room_id,
                type=event_type,
                content=content,
                state_key=state_key,
                asked_in=asked_in,
            )
        )

    def reopen(self, inbound: Inbound, attempt: int) -> None:
        """Have ``inbound``, which was answered with a question, handled once more."""
        self.effects.append(Reopen(inbound=inbound, attempt=attempt))

    def trigger(self, signal: object) -> None:
        """Trigger the event that names the signal's class, in this turn, after this step.

        The event may be one of another flow or of the same. Its handler finds the signal with
        ``turn.signal``.

        Args:
            signal: A value of a frozen class: ``HandOver(to=bob)`` for ``Event(…, on=HandOver)``.

        Raises:
            TurnError: It is no such value.

        After this step, the turn fails with ``UnansweredSignal`` if no event of the bot's flows
        names the class, and with ``NoSuchTransition`` if the flow's current state does not answer.
        """
        self.signals.append(triggered(signal))

    def confirm(
        self,
        question: str,
        *,
        then: object,
        otherwise: object = None,
    ) -> None:
        """Have the sender asked, and trigger a signal with the answer.

        The question is a flow of its own: it is ephemeral, waits for ``!yes``, ``!no``, a reaction
        or a reply, and lapses. If the conversation that ``then`` is for has changed between
        question and yes, its state or its data, nothing is triggered and the sender is told.

        Args:
            question: What is asked, Markdown.
            then: The signal that a yes triggers.
            otherwise: The signal that is triggered if the answer is no, or is not given in time.
                Left out, the bot says that nothing has been changed.

        Raises:
            TurnError: ``then`` or ``otherwise`` is no signal.

        Nothing is asked, and the turn fails with ``UnansweredSignal``, if no event of the bot's
        flows names the class of one of them.
        """
        missed = self.gettext("That is no longer possible: things have changed since I asked.")
        asked = Question(
            text=question,
            then=evolve(triggered(then), missed=missed),
            otherwise=evolve(triggered(otherwise), missed="") if otherwise is not None else None,
        )
        self.trigger(asked)

    def _answered(self) -> EventId | None:
        """The event to which a reply refers: none for what is no event of the room.

        A reaction is answered at what it was put on: clients show no reply to a reaction. What came
        of an effect answers what asked for it.
        """
        if self.inbound.kind in (EventKind.REACTION, EventKind.DONE, EventKind.REFUSED):
            return self.inbound.about
        return self.inbound.event_id if self.inbound.event_id.startswith("$") else None

    def _say(
        self,
        text: str,
        *,
        room_id: RoomId | None = None,
        in_reply_to: EventId | None = None,
        mention: UserId | None = None,
        question_ref: QuestionRef | None = None,
    ) -> TransactionId:
        self._exclude(AskAgent, "an agent is asked in this turn, and its answer is the reply")
        self.effects.append(
            Reply(
                room_id=room_id or self.room_id,
                text=text,
                in_reply_to=in_reply_to,
                thread=self.inbound.thread if room_id in (None, self.room_id) else None,
                mention=mention,
                question_ref=question_ref,
            )
        )
        return effect_id(self.inbound.event_id, self.attempt, len(self.effects) - 1)

    def _exclude(self, kind: type[Effect], problem: str) -> None:
        if any(isinstance(effect, kind) for effect in self.effects):
            raise TurnError(problem, "let one turn do one of the two")


def bot_records(turn: Turn) -> BotRecords:
    """The records of the bot itself, for its own flows: ``turn.records`` has one flow's."""
    return turn._bot_records  # noqa: SLF001  # no author's flow is to find it on the turn
