"""A turn: the handling of one inbound event, as its handlers see it.

What a handler requests is not done yet when the call returns. The engine commits all requests of
the turn in one transaction and carries them out afterwards. If a handler raises, none is committed.
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
    """Gives a handler the data of one turn, and the methods by which it requests effects.

    Args:
        inbound: The event that this turn handles.
        now: The time at which the turn began, an aware ``datetime`` in UTC.
        stimulus: The stimulus of this step: one made of the inbound event, or a signal that a
            handler triggered.
        data: The data of the conversation's current state: a record, a memory or None. For guards;
            handlers get it as an argument.
        bot_records: The bot's own records, for the bot's own flows: users, rooms and chats. Other
            flows use ``records``, which holds the records of the turn's flow.
        prefix: What commands begin with, for messages that name a command.
        translator: Translates sentences to the sender's language.
        room_link: Called with a room id; returns the room's link.
        life: The id of this run of the process. It is stored in questions, so that an answer to a
            question of an earlier run is recognised as too late.
        attempt: How many times the event was handled before this turn; 0 unless it was reopened.
        effects: The effects requested so far, in order.
        signals: The triggered signals that no flow has received yet, in order.
        flow: The name of the flow whose handler or guard runs.
        match: The match of the event's regular expression in the text; None if the event has no
            regular expression.
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
        """The text after the command's name, stripped; for a text or an answer, the whole body.

        Empty if this step handles anything else.
        """
        match self.stimulus:
            case Command(argument=argument):
                return argument
            case Text(body=body) | Answer(body=body):
                return body
            case _:
                return ""

    @property
    def emoji(self) -> str:
        """The emoji of the reaction that this step handles; empty if it handles no reaction.

        The emoji is normalized: it has neither a skin tone nor a variation selector.
        """
        match self.stimulus:
            case Reaction(key=key):
                return compared(key)
            case _:
                return ""

    @property
    def question_ref(self) -> QuestionRef | None:
        """The reference of the question that the sender answers; None if this is not an answer."""
        return self.stimulus.question_ref if isinstance(self.stimulus, Answer | Reaction) else None

    def signal(self, kind: type[S]) -> S:
        """Return the signal that this step handles.

        Args:
            kind: The class of the signal, as in the event's ``on=``.

        Raises:
            TurnError: This step does not handle a signal of this class.
        """
        signal = self.stimulus.signal if isinstance(self.stimulus, Triggered) else None
        if isinstance(signal, kind):
            return signal
        problem = f"this step answers no {kind.__name__}"
        raise TurnError(problem, f"read it where only an event with on={kind.__name__} leads")

    def answering(self, stimulus: Stimulus, data: Any = None) -> "Turn":
        """Return a copy of the turn for a step that handles ``stimulus`` in a state with ``data``.

        The copy and the turn share the lists ``effects`` and ``signals``.
        """
        return evolve(self, stimulus=stimulus, data=data)

    def gettext(self, message: str, **values: object) -> str:
        """Return ``message`` in the sender's language; ``values`` fill its ``{named}`` fields."""
        return self.translator.gettext(message, **values)

    def ngettext(self, singular: str, plural: str, count: int, **values: object) -> str:
        """Return the singular or plural sentence for ``count``, in the sender's language.

        ``count`` fills the placeholder ``{count}``, and ``values`` fill the others.
        """
        return self.translator.ngettext(singular, plural, count, **values)

    def reply(self, text: str) -> TransactionId:
        """Reply to the inbound event in its room. ``text`` is Markdown.

        Returns:
            The transaction id under which the reply will be sent, for ``edit(sent_as=…)``.
        """
        return self._say(text, in_reply_to=self._answered(), mention=self.sender)

    def ask_back(self, text: str, *, anyone: bool = False) -> TransactionId:
        """Reply with a question to the sender.

        A reaction or a reply to the question reaches the flow that asks, also after a restart.

        Args:
            text: The question, Markdown.
            anyone: Whether everybody's answer counts. If False, only the sender's does.

        Returns:
            The transaction id under which the question will be sent, for ``edit(sent_as=…)``.
        """
        asker = None if anyone else self.sender
        question_ref = QuestionRef(
            flow=self.flow, id=self.inbound.event_id, life=self.life, asker=asker
        )
        return self._say(
            text, in_reply_to=self._answered(), mention=self.sender, question_ref=question_ref
        )

    def say(self, text: str, *, room_id: RoomId | None = None) -> TransactionId:
        """Send a message that is not a reply.

        Args:
            text: The message, Markdown.
            room_id: The room; None for the room of the inbound event.

        Returns:
            The transaction id under which the message will be sent, for ``edit(sent_as=…)``.
        """
        return self._say(text, room_id=room_id)

    def edit(
        self, text: str, *, event_id: EventId | None = None, sent_as: TransactionId | None = None
    ) -> None:
        """Edit one of the bot's messages in the inbound event's room.

        Give either ``event_id`` or ``sent_as``. Without both, nothing is edited.

        Args:
            text: The new text, Markdown.
            event_id: The event id of the message.
            sent_as: The transaction id that ``reply``, ``ask_back`` or ``say`` returned for the
                message.
        """
        self.effects.append(
            Edit(room_id=self.room_id, text=text, event_id=event_id, sent_as=sent_as)
        )

    def react(self, key: str, *, event_id: EventId | None = None) -> None:
        """React with an emoji to an event of the inbound event's room.

        Args:
            key: The emoji.
            event_id: The event; None for the inbound event.
        """
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
            platform_chat_id: The platform chat to which the question belongs.
            text: The question.
            attachments: Files that belong to the question.
            again: The event that asked the same question before, if the question is asked again;
                None for a new question.

        Raises:
            TurnError: The turn already sends a message, or already asks an agent. If the process
                died before the agent's answer, the event would be handled again after the restart,
                and a message of the turn could then differ from the one already sent.
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
        """Join a room; None means the inbound event's room."""
        self.effects.append(JoinRoom(room_id=room_id or self.room_id))

    def leave(self, room_id: RoomId | None = None) -> None:
        """Leave a room, or decline the invite to it; None means the inbound event's room."""
        self.effects.append(LeaveRoom(room_id=room_id or self.room_id))

    def make_room(
        self, purpose: str, *, name: str, space_id: RoomId | None = None, is_space: bool = False
    ) -> None:
        """Create a room for the sender. A turn of kind ROOM_CREATED or ROOM_FAILED follows.

        Args:
            purpose: The flow's own key for the room. If the sender has a room with this key
                already, that room is used and none is created.
            name: The room's display name.
            space_id: The Space to which the room is added; None for no Space.
            is_space: Whether the new room is itself a Space.
        """
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
            user_id: The user; None for the sender.
            asked_in: The room in which the homeserver's refusal is reported, by a turn of kind
                REFUSED. None: a refusal is not reported.
        """
        self.effects.append(
            Invite(room_id=room_id, user_id=user_id or self.sender, asked_in=asked_in)
        )

    def name_room(
        self, name: str, *, room_id: RoomId | None = None, asked_in: RoomId | None = None
    ) -> None:
        """Set the display name of a room.

        Args:
            name: The name.
            room_id: The room; None for the inbound event's room.
            asked_in: The room in which the result is reported, as in ``set_state``.
        """
        self.effects.append(NameRoom(room_id=room_id or self.room_id, name=name, asked_in=asked_in))

    def add_to_space(self, space_id: RoomId, room_id: RoomId) -> None:
        """Make the room a child of the Space; clients list it there."""
        self.effects.append(AddToSpace(space_id=space_id, room_id=room_id))

    def remove_from_space(self, space_id: RoomId, room_id: RoomId) -> None:
        """Remove the room from the children of the Space. Nobody leaves the room."""
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
        """Send a state event to a room. The homeserver sets or refuses it after this turn.

        Args:
            room_id: The room.
            event_type: The type of the state event.
            content: The content of the state event.
            state_key: The state key of the state event.
            asked_in: The room in which the result is reported, by a turn of kind DONE or REFUSED.
                Tell the user of a success in that turn, not in this one. None: the result is not
                reported.
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
        """Return the matrix.to link of the room, which Matrix clients open."""
        return self._room_link(room_id)

    def reopen(self, inbound: Inbound, attempt: int) -> None:
        """Have an earlier event handled again, in a turn of its own after this one.

        For an event to which the bot replied with a question that is now answered.

        Args:
            inbound: The event.
            attempt: How many times the event has been handled before, 1 or more.
        """
        self.effects.append(Reopen(inbound=inbound, attempt=attempt))

    def trigger(self, signal: object) -> None:
        """Trigger the event that names the signal's class, in this turn, after this step.

        The event may belong to this flow or to another one. Its handler gets the signal by
        ``turn.signal``.

        Args:
            signal: A value of a frozen class: ``HandOver(to=bob)`` for ``Event(…, on=HandOver)``.

        Raises:
            TurnError: ``signal`` is not an instance of a frozen attrs class.

        After this step, the turn fails with ``UnansweredSignal`` if no event of the bot's flows
        names the signal's class, and with ``NoSuchTransition`` if such an event is not possible in
        the current state of its flow.
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

        The built-in confirmation flow asks the question, and waits for ``!yes``, ``!no``, a
        reaction or a reply. Its state is ephemeral: the question expires, and a restart discards
        it. If the conversation that would receive ``then`` has changed its state or data before the
        yes, ``then`` is not triggered, and the bot tells the sender so.

        Args:
            question: The question, Markdown.
            then: The signal that a yes triggers.
            otherwise: The signal that a no or the expiry triggers. None: the bot only tells the
                sender that nothing was changed.

        Raises:
            TurnError: ``then`` or ``otherwise`` is not an instance of a frozen attrs class.

        If no event of the bot's flows names the class of ``then`` or of ``otherwise``, nothing is
        asked, and the turn fails with ``UnansweredSignal``.
        """
        missed = self.gettext("That is no longer possible: things have changed since I asked.")
        asked = Question(
            text=question,
            then=evolve(triggered(then), missed=missed),
            otherwise=evolve(triggered(otherwise), missed="") if otherwise is not None else None,
        )
        self.trigger(asked)

    def _answered(self) -> EventId | None:
        """Return the event to which a reply of this turn refers.

        For a reaction, this is the event reacted to, because clients don't show replies to
        reactions. For the result of an effect, this is the event that requested the effect.

        Returns:
            None if there is no event in the room to reply to, such as for an expiry.
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
    """Return the records of the bot itself, for built-in flows.

    ``turn.records``, in contrast, are the records of one flow.
    """
    return turn._bot_records  # noqa: SLF001  # no author's flow is to find it on the turn
