"""A turn: the handling of one inbound event, as its handlers see it.

A handler's requests are not carried out when the call returns. The engine commits all of them in
one transaction, or none if a handler raises.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from attrs import define, evolve, field

from fsm.effects import (
    AddToSpace,
    AskAgent,
    Edit,
    Effect,
    Invite,
    JoinRoom,
    LeaveRoom,
    NameRoom,
    NewRoom,
    React,
    RemoveFromSpace,
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
    """One turn: what a handler reads, and the methods by which it requests effects.

    Args:
        inbound: The event that this turn handles.
        now: The wall clock at the turn's start, aware UTC.
        stimulus: The stimulus of this step: the event itself, or a signal that a handler triggered.
        data: The data of the current state: a record, a memory or None. For guards; handlers get it
            as an argument.
        prefix: What commands begin with, for sentences that name one.
        translator: Translates sentences to the sender's language.
        room_link: Makes the link of a room, for sentences that name one.
        life: The id of this run of the process, for questions.
        attempt: 0 the first time that the event is handled, 1 after it was reopened once, …
        effects: The effects requested so far, in order.
        signals: The signals that are still to be delivered in this turn, in order.
        flow: The name of the flow whose handler runs.
        match: The match of the event's regular expression, if it has one.
    """

    inbound: Inbound
    now: datetime
    stimulus: Stimulus
    data: Any = None
    _bot_records: BotRecords = field(factory=NoRecords)
    prefix: str = "!"
    translator: Translator = field(factory=Translator)
    _room_link: Callable[[RoomId], str] = str
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
        """The sender of the inbound event."""
        return self.inbound.sender

    @property
    def records(self) -> Records:
        """The durable records of the flow whose handler runs."""
        return self._bot_records.of_flow(self.flow)

    @property
    def argument(self) -> str:
        """The text after the command's name, stripped; for a text or an answer, the whole body."""
        match self.stimulus:
            case Command(argument=argument):
                return argument
            case Text(body=body) | Answer(body=body):
                return body
            case _:
                return ""

    @property
    def emoji(self) -> str:
        """The normalized emoji of the reaction that this step handles; empty if it handles none.

        It has neither a skin tone nor a variation selector.
        """
        match self.stimulus:
            case Reaction(key=key):
                return compared(key)
            case _:
                return ""

    @property
    def question_ref(self) -> QuestionRef | None:
        """The reference of the question that is being answered, if there is one."""
        return self.stimulus.question_ref if isinstance(self.stimulus, Answer | Reaction) else None

    def signal(self, kind: type[S]) -> S:
        """The signal that this step handles.

        Args:
            kind: Its class, as in the event's ``on=``.

        Raises:
            TurnError: This step does not handle a signal of this class.
        """
        signal = self.stimulus.signal if isinstance(self.stimulus, Triggered) else None
        if isinstance(signal, kind):
            return signal
        problem = f"this step answers no {kind.__name__}"
        raise TurnError(problem, f"read it where only an event with on={kind.__name__} leads")

    def answering(self, stimulus: Stimulus, data: Any = None) -> "Turn":
        """A copy of the turn for a step that handles ``stimulus`` in a state with ``data``."""
        return evolve(self, stimulus=stimulus, data=data)

    def gettext(self, message: str, **values: object) -> str:
        """The sentence in the sender's language, its ``{named}`` placeholders filled."""
        return self.translator.gettext(message, **values)

    def ngettext(self, singular: str, plural: str, count: int, **values: object) -> str:
        """The singular or plural sentence for ``count``, which fills ``{count}``."""
        return self.translator.ngettext(singular, plural, count, **values)

    def reply(self, text: str) -> TransactionId:
        """Reply to the inbound event in its room. ``text`` is Markdown.

        Returns:
            The transaction id under which it will be sent; ``edit`` takes it as ``sent_as``.
        """
        return self._say(text, in_reply_to=self._answered(), mention=self.sender)

    def ask_back(self, text: str, *, anyone: bool = False) -> TransactionId:
        """Reply with a question to the sender.

        A reaction or a reply to it reaches the flow that asks, also after a restart. ``text`` is
        Markdown. With ``anyone``, everybody's answer counts, not only the sender's.
        """
        asker = None if anyone else self.sender
        question_ref = QuestionRef(
            flow=self.flow, id=self.inbound.event_id, life=self.life, asker=asker
        )
        return self._say(
            text, in_reply_to=self._answered(), mention=self.sender, question_ref=question_ref
        )

    def say(self, text: str, *, room_id: RoomId | None = None) -> TransactionId:
        """Send a message that is not a reply, in the inbound event's room or another."""
        return self._say(text, room_id=room_id)

    def edit(
        self, text: str, *, event_id: EventId | None = None, sent_as: TransactionId | None = None
    ) -> None:
        """Edit one of the bot's messages in this room.

        Args:
            text: Markdown.
            event_id: The message's event id, or
            sent_as: The id that ``reply``, ``ask_back`` or ``say`` returned for it.
        """
        self.effects.append(
            Edit(room_id=self.room_id, text=text, event_id=event_id, sent_as=sent_as)
        )

    def react(self, key: str, *, event_id: EventId | None = None) -> None:
        """React with the emoji ``key`` to the inbound event, or to another event of this room."""
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
        """Ask an agent. Its answer is sent as a reply to the inbound event.

        Args:
            agent_id: The agent.
            platform_chat_id: The platform's number for the chat.
            text: The question.
            attachments: Files that belong to the question.
            again: The earlier event of the same question, if it is asked again.

        Raises:
            TurnError: The turn has already replied. If the process died before the answer, the
                event would be handled again and the reply sent again with other words.
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
        """Create a room for the sender; see ``NewRoom``."""
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
        """Invite the sender, or another user, to a room.

        Args:
            room_id: The room.
            user_id: The user; default: the sender.
            asked_in: The room in which a refusal is reported: a turn of kind REFUSED follows there.
        """
        self.effects.append(
            Invite(room_id=room_id, user_id=user_id or self.sender, asked_in=asked_in)
        )

    def name_room(
        self, name: str, *, room_id: RoomId | None = None, asked_in: RoomId | None = None
    ) -> None:
        """Set the display name of the inbound event's room, or of another.

        Args:
            name: The name.
            room_id: The room.
            asked_in: The room in which the result is reported, as in ``set_state``.
        """
        self.effects.append(NameRoom(room_id=room_id or self.room_id, name=name, asked_in=asked_in))

    def add_to_space(self, space_id: RoomId, room_id: RoomId) -> None:
        """Make the room a child of the Space; clients list it there."""
        self.effects.append(AddToSpace(space_id=space_id, room_id=room_id))

    def remove_from_space(self, space_id: RoomId, room_id: RoomId) -> None:
        """Make the room no child of the Space any more. Nobody leaves the room."""
        self.effects.append(RemoveFromSpace(space_id=space_id, room_id=room_id))

    def set_state(
        self,
        room_id: RoomId,
        event_type: str,
        content: Mapping[str, Any],
        *,
        state_key: str = "",
        asked_in: RoomId | None = None,
    ) -> None:
        """Send a state event to a room. It is set, or refused, after this turn.

        Args:
            room_id: The room.
            event_type: Its type.
            content: Its content.
            state_key: Its key.
            asked_in: The room in which the result is reported: a turn of kind DONE or REFUSED
                follows there. Report success to the user in that turn, not in this one.
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

    def room_link(self, room_id: RoomId) -> str:
        """The room's link, which Matrix clients open."""
        return self._room_link(room_id)

    def reopen(self, inbound: Inbound, attempt: int) -> None:
        """Handle ``inbound`` again, after the bot had replied to it with a question."""
        self.effects.append(Reopen(inbound=inbound, attempt=attempt))

    def trigger(self, signal: object) -> None:
        """Trigger the event that names the signal's class, in this turn, after this step.

        The event may be one of another flow or of the same. Its handler finds the signal with
        ``turn.signal``.

        Args:
            signal: A value of a frozen class: ``HandOver(to=bob)`` for ``Event(…, on=HandOver)``.

        Raises:
            TurnError: It is not an instance of a frozen class.

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
        """Ask the sender to confirm, and trigger a signal with the result.

        The question is handled by a flow of its own. It is ephemeral, waits for ``!yes``, ``!no``,
        a reaction or a reply, and expires. If the state or data of the conversation that ``then``
        is for has changed before the yes, nothing is triggered and the sender gets a message about
        it.

        Args:
            question: What is asked, Markdown.
            then: The signal that a yes triggers.
            otherwise: The signal that a no or a timeout triggers. Default: the bot says that
                nothing has been changed.

        Raises:
            TurnError: ``then`` or ``otherwise`` is not an instance of a frozen class.

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
        """The event to which the reply refers; None if the inbound event is no event of the room.

        For a reaction, this is the event reacted to: clients don't show replies to reactions. For
        the result of an effect, it is the event that requested the effect.
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
    """The records of the bot itself, for built-in flows; ``turn.records`` are those of one flow."""
    return turn._bot_records  # noqa: SLF001  # no author's flow is to find it on the turn
