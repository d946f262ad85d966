"""Dispatch: offers a turn's stimuli to the flows and runs their steps. Commits nothing."""

import unicodedata
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from attrs import define, evolve, field, frozen

from fsm.checks.naming import receiver, refuse_unanswered
from fsm.errors import NoSuchTransition
from fsm.events import Answer, Attached, Command, Expiry, Reaction, RoomEvent, Stimulus, Text
from fsm.flow import Flow, Snapshot, Transition
from fsm.kept_record import KeptAsRecord
from fsm.turn import Turn
from fsm.values.ids import ConversationKey
from fsm.values.inbound import EventKind, Inbound, ReactionReceived
from fsm.values.messages import Question, QuestionRef, Triggered
from fsm.values.text import answered, compared, without_unseen_start

MAX_MENTION_CHARS = 300
"""If a text begins with the bot's name, a command is looked for in this many characters only."""

ConversationRef = tuple[str, ConversationKey]
"""One conversation: its flow's name and its key."""

StateReader = Callable[[Flow, ConversationKey], Awaitable[Snapshot]]
"""Called with a flow and the key of a conversation; returns the conversation's snapshot."""


@frozen(kw_only=True)
class TransitionTaken:
    """One step that a conversation took in a turn.

    Args:
        flow: The flow's name.
        key: The conversation's key.
        event: The name of the flow's event that was run.
        before: The conversation's snapshot before the step.
        after: The conversation's snapshot after the step.
        entered: Whether the step entered a state, or entered the same state again: the lifetime of
            that state then starts anew.
    """

    flow: str
    key: ConversationKey
    event: str
    before: Snapshot
    after: Snapshot
    entered: bool


@define
class Dispatcher:
    """Offers the stimuli of one turn to the flows, and runs the flows that handle them.

    Args:
        flows: The bot's flows by their names, in the order in which they are offered an event.
        turn: The turn. The handlers add to its ``effects``.
        read_state: Called with a flow and the key of a conversation; returns the conversation's
            snapshot.
        keep: Called after each step with the flow and the step, to save the conversation's new
            snapshot.
        moves: The steps so far, in order.
    """

    flows: Mapping[str, Flow]
    turn: Turn
    read_state: StateReader
    keep: Callable[[Flow, TransitionTaken], None]
    moves: list[TransitionTaken] = field(factory=list)
    _snapshots: dict[ConversationRef, Snapshot] = field(factory=dict)

    async def take(self, stimuli: Sequence[Stimulus]) -> None:
        """Run the first flow that handles one of the stimuli, then the flows that it triggers.

        Each stimulus is offered to all flows before the next one. If no flow handles any of them,
        nothing happens.

        Raises:
            UnansweredSignal: A handler triggered a signal that no flow answers, or asked for a
                confirmation that would trigger such a signal.
            NoSuchTransition: A handler triggered a signal that the current state of the receiving
                flow does not answer.
            Exception: Whatever a handler raised.
        """
        snapshots = {flow.name: await self._snapshot(flow) for flow in self.flows.values()}
        for stimulus in stimuli:
            for flow in self._offered(stimulus):
                if await self._try(flow, snapshots[flow.name], stimulus):
                    await self._follow()
                    return

    async def expire(self, flow: Flow, snapshot: Snapshot, *, still: bool) -> None:
        """Handle the expiry of a conversation's state.

        Run the state's ``on_expiry`` event. Without such an event, a durable state leads to idle;
        for an ephemeral state, nothing is run, because the engine has already discarded the state.
        If the conversation is in the same state afterwards, the lifetime of that state starts anew.

        Args:
            flow: The flow.
            snapshot: The expired state, with its data.
            still: Whether the conversation is still in the expired state and has not entered it
                again since. If False, the handler runs, but the conversation's state is not
                changed.
        """
        turn = self.turn.answering(Expiry(), snapshot.data)
        move = flow.choose(snapshot, Expiry(), turn)
        if move is None and flow.states[snapshot.state].is_durable:
            move = Transition("expire", flow.idle_state.name)
        if move is None:
            return
        after = await self._step(flow, snapshot, move, turn)
        if still:
            self._moved(flow, evolve(move, entered=True), snapshot, after)
        await self._follow()

    async def _follow(self) -> None:
        """Run the flows for the triggered signals, until no signal is left."""
        while self.turn.signals:
            signal = await self._with_seen(self.turn.signals.pop(0))
            flow = receiver(signal.signal, self.flows)
            assert flow is not None  # noqa: S101  # checked when it was triggered
            snapshot = await self._snapshot(flow)
            if signal.seen not in (None, snapshot):
                self._miss(signal)
                continue
            try:
                await self._try(flow, snapshot, signal)
            except NoSuchTransition:
                if signal.missed is None:
                    raise
                self._miss(signal)

    def _miss(self, signal: Triggered) -> None:
        if signal.missed:
            self.turn.reply(signal.missed)

    async def _with_seen(self, signal: Triggered) -> Triggered:
        """Return the signal; for a ``Question``, a copy with the snapshot in ``then.seen``.

        This is the current snapshot of the conversation that receives the signal ``then`` after a
        yes. It is left out for a ``KeptAsRecord`` flow, which handles late answers itself.
        """
        question = signal.signal
        if not isinstance(question, Question):
            return signal
        flow = receiver(question.then.signal, self.flows)
        if flow is None or isinstance(flow, KeptAsRecord):
            return signal
        then = evolve(question.then, seen=await self._snapshot(flow))
        return evolve(signal, signal=evolve(question, then=then))

    async def _try(self, flow: Flow, snapshot: Snapshot, stimulus: Stimulus) -> bool:
        turn = self.turn.answering(stimulus, snapshot.data)
        move = flow.choose(snapshot, stimulus, turn)
        if move is None:
            return False
        self._moved(flow, move, snapshot, await self._step(flow, snapshot, move, turn))
        return True

    async def _step(self, flow: Flow, snapshot: Snapshot, move: Transition, turn: Turn) -> Snapshot:
        after = await flow.step(snapshot, move, turn)
        for signal in self.turn.signals:
            refuse_unanswered(signal, asker=flow.name, running=self.flows)
        return after

    def _moved(self, flow: Flow, move: Transition, before: Snapshot, after: Snapshot) -> None:
        key = flow.key(self.turn.room_id, self.turn.sender)
        moved = TransitionTaken(
            flow=flow.name,
            key=key,
            event=move.event,
            before=before,
            after=after,
            entered=move.entered,
        )
        self.moves.append(moved)
        self._snapshots[flow.name, key] = after
        self.keep(flow, moved)

    async def _snapshot(self, flow: Flow) -> Snapshot:
        key = flow.key(self.turn.room_id, self.turn.sender)
        present = self._snapshots.get((flow.name, key))
        if present is not None and not isinstance(flow, KeptAsRecord):
            return present
        return await self.read_state(flow, key)

    def _offered(self, stimulus: Stimulus) -> Iterable[Flow]:
        """Return the flows to which the stimulus is offered, in order.

        A signal is offered only to the flow that answers it, and an answer or a reaction only to
        the flow that asked the question. Every other stimulus is offered to all flows.
        """
        match stimulus:
            case Triggered(signal=signal):
                flow = receiver(signal, self.flows)
                return (flow,) if flow is not None else ()
            case (
                Reaction(question_ref=QuestionRef(flow=name))
                | Answer(question_ref=QuestionRef(flow=name))
            ):
                return (self.flows[name],) if name in self.flows else ()
        return self.flows.values()


def stimuli_of(inbound: Inbound, prefix: str) -> tuple[Stimulus, ...]:
    """Return the stimuli as which an inbound event can be handled, in the order to try them.

    The dispatcher handles only the first one that a flow answers.

    Args:
        inbound: The event.
        prefix: What commands begin with.

    Returns:
        The stimuli; none for a reaction to something other than a question of the bot.
    """
    ref = inbound.question
    if isinstance(inbound, ReactionReceived):
        return (Reaction(inbound.key, ref),) if ref is not None else ()
    if inbound.kind is EventKind.FILE:
        return (Attached(), RoomEvent(EventKind.FILE))
    if inbound.kind is not EventKind.TEXT:
        return (RoomEvent(inbound.kind),)
    answer = (Answer(inbound.body, ref),) if ref is not None else ()
    attached = (Attached(),) if inbound.attachments else ()
    said = said_in(inbound.body, prefix, inbound.names)
    text = (Text(inbound.body),) if isinstance(said, Command) and said.is_loose else ()
    return (*answer, *attached, said, *text)


def said_in(body: str, prefix: str, names: Collection[str] = ()) -> Command | Text:
    """Parse a message: return a ``Command`` if it is one, otherwise a ``Text`` with the whole body.

    Args:
        body: The text of the message.
        prefix: What commands begin with.
        names: The bot's names. One of them may stand before the prefix.

    Returns:
        The name of a ``Command`` is normalized as by ``answered``.
    """
    stripped = without_unseen_start(body).rstrip()
    begin = 0 if _is_prefix(stripped, 0, prefix) else _after_a_name(stripped, prefix, names)
    if begin is None:
        return Text(body)
    stripped = stripped[begin:]
    after = without_unseen_start(stripped[len(prefix) :])
    if not after[:1].isalpha():
        return Text(body)
    name, *argument = after.split(maxsplit=1)
    is_loose = after != stripped[len(prefix) :]
    return Command(answered(name), argument[0] if argument else "", is_loose=is_loose)


def _is_prefix(text: str, at: int, prefix: str) -> bool:
    found, wanted = (
        unicodedata.normalize("NFKC", t) for t in (text[at : at + len(prefix)], prefix)
    )
    return found == wanted


def _after_a_name(text: str, prefix: str, names: Collection[str]) -> int | None:
    """Find the command prefix after one of the bot's names, as in ``helper: !status``.

    Returns:
        The index of the prefix in the text; None if the text does not begin with a name and the
        prefix.
    """
    head = unicodedata.normalize("NFKC", text[:MAX_MENTION_CHARS])
    if unicodedata.normalize("NFKC", prefix) not in head:
        return None
    known = {compared(name).removeprefix("@") for name in names} - {""}
    for at in range(1, min(len(text), MAX_MENTION_CHARS)):
        if not _is_prefix(text, at, prefix):
            continue
        before = text[:at]
        mention = compared(before)
        is_apart = mention.endswith((":", ",")) or before[-1].isspace()
        if is_apart and mention.rstrip(":, ").removeprefix("@") in known:
            return at
    return None
