"""The choice of an archived chat from a numbered list.

Lost at a restart: the open list. That is fine: nothing was loaded yet, a late answer gets a reply
that says so, and one command shows the list again.
"""

from datetime import datetime, timedelta

from attrs import frozen

from ephemeral.flows.open_prompt import NO, OpenPrompt, is_of_another_life
from fsm import STAY, Event, Flow, Reaction, Scope, State, Turn, ephemeral, minutes, on
from fsm.events import ANY
from fsm.values.messages import Choice
from fsm.values.signals import LoadChat, OfferChats
from fsm.values.text import answered, number_in


@frozen
class Choosing:
    """A list that waits for a number as its answer.

    Args:
        items: The chats to choose from; the first has the number 1.
        asked: The message with the list.
    """

    items: tuple[Choice, ...]
    asked: OpenPrompt


@frozen
class CancelSelection:
    """The signal to close the open list, if there is one."""


class LoadSelection(Flow):
    """Choose an archived chat from a list."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    choosing = State(
        ephemeral,
        memory=Choosing,
        expires=minutes(5),
        lost="no chat was brought back; `!load` shows the list again",
    )

    offer = Event((idle, choosing), choosing, on=OfferChats)
    choice = Event(
        choosing,
        idle,
        command="load",
        text=True,
        reaction="✅",
        reply=ANY,
    )
    miss = Event(
        choosing,
        STAY,
        command="load",
        text=True,
        reaction="✅",
        reply=ANY,
    )
    no = Event(choosing, idle, command="no", reaction="❌", reply=NO)
    answer_late = Event((idle, choosing), STAY, reaction=("✅", "❌"), reply=ANY)
    lapse = Event(choosing, idle, on_expiry=True)
    cancel = Event(choosing, idle, on=CancelSelection)
    cancel_nothing = Event(idle, STAY, on=CancelSelection)

    @no.guard
    def is_pending(self, turn: Turn) -> bool:
        """Return whether the answer is to the open list, not to an older one."""
        return isinstance(turn.data, Choosing) and turn.data.asked.is_meant_by(turn)

    @choice.guard
    def names_a_choice(self, turn: Turn) -> bool:
        """Return whether the answer chooses a chat of the open list."""
        return self.is_pending(turn) and _chosen(turn) is not None

    @miss.guard
    def looks_like_a_choice(self, turn: Turn) -> bool:
        """Return whether the answer is a number, on the list or not, or a ✅ reaction."""
        return self.is_pending(turn) and _number(turn) is not None

    @answer_late.guard
    def answers_a_list(self, turn: Turn) -> bool:
        """Return whether the answer can be meant for a list: a number, a reaction, or a no.

        Any other text is a message to the agent.
        """
        return _number(turn) is not None or answered(turn.argument) in NO

    def __init__(self, *, lifetime: timedelta, started_at: datetime) -> None:
        self._lifetime = lifetime
        self._started_at = started_at

    def lifetime(self, _state: State) -> timedelta:
        """Return how long a list waits for its answer, from the config."""
        return self._lifetime

    @on(offer)
    def put_list(self, turn: Turn, replaced: Choosing | None) -> Choosing:
        """Show the sender the numbered list of archived chats, and return it as the state's memory.

        ``replaced`` is an earlier list that the sender has not answered: its message is edited to
        say that it was replaced. None if there is none.
        """
        choices = turn.signal(OfferChats).choices
        shown = "\n".join(_line(n, item) for n, item in enumerate(choices.items, start=1))
        text = turn.gettext(
            "Which chat should I restore?\n\n{list}\n\nAnswer with its number within "
            "{duration}, or react to this message with ❌ to cancel.",
            list=shown,
            duration=turn.translator.duration(self._lifetime),
        )
        if replaced is not None:
            text = turn.gettext("This replaces the earlier list.\n\n{list}", list=text)
        sent_as = turn.ask_back(text)
        if replaced is not None:
            closed = turn.gettext(
                "{list}\n\nThis list was replaced by a newer one.", list=replaced.asked.text
            )
            turn.edit(closed, sent_as=replaced.asked.sent_as)
        asked = OpenPrompt(id=turn.inbound.event_id, sent_as=sent_as, text=shown)
        return Choosing(choices.items, asked)

    @on(choice)
    def load(self, turn: Turn) -> None:
        """Trigger the signal that loads the chosen chat."""
        chosen = _chosen(turn)
        assert chosen is not None  # noqa: S101  # the guard found it
        turn.trigger(LoadChat(chosen.chat_id))

    @on(miss)
    def name_range(self, turn: Turn, choosing: Choosing) -> None:
        """Tell the sender which numbers are valid."""
        turn.reply(
            turn.ngettext(
                "There is {count} chat on the list: answer with `1`, or with `{prefix}no`.",
                "There are {count} chats on the list: answer with a number from 1 to {count}, "
                "or with `{prefix}no`.",
                len(choosing.items),
                prefix=turn.prefix,
            )
        )

    @on(no, cancel)
    def leave_it(self, turn: Turn) -> None:
        """Load no chat, and tell the sender so."""
        turn.reply(turn.gettext("OK, no chat was restored."))

    @on(answer_late)
    def explain(self, turn: Turn) -> None:
        """Tell the sender why the answer comes too late.

        If a restart has lost the list, also edit the message with the list to say that it has
        expired.
        """
        if not is_of_another_life(turn):
            turn.reply(
                turn.gettext(
                    "This list is closed: it was answered, replaced, or it expired. "
                    "`{prefix}load` shows it again.",
                    prefix=turn.prefix,
                )
            )
            return
        restarted = turn.translator.moment(self._started_at)
        turn.reply(
            turn.gettext(
                "I restarted at {moment} and lost this list. `{prefix}load` shows it again.",
                moment=restarted,
                prefix=turn.prefix,
            )
        )
        closed = turn.gettext("This list expired: I restarted at {moment}.", moment=restarted)
        turn.edit(closed, event_id=turn.inbound.about)

    @on(lapse)
    def close(self, turn: Turn, choosing: Choosing) -> None:
        """Edit the message with the list to say that it has expired."""
        closed = turn.gettext(
            "{list}\n\nThis list expired. `{prefix}load` shows it again.",
            list=choosing.asked.text,
            prefix=turn.prefix,
        )
        turn.edit(closed, sent_as=choosing.asked.sent_as)


def _line(number: int, item: Choice) -> str:
    return f"{number}. **{item.name}**" + (f": {item.detail}" if item.detail else "")


def _number(turn: Turn) -> int | None:
    """Return the number that is the whole answer; None if the answer is anything else.

    A reaction counts as 1 if only one chat is on the list, and else as 0, which is never valid.
    """
    if isinstance(turn.stimulus, Reaction):
        return 1 if isinstance(turn.data, Choosing) and len(turn.data.items) == 1 else 0
    return None if turn.inbound.attachments else number_in(turn.argument)


def _chosen(turn: Turn) -> Choice | None:
    assert isinstance(turn.data, Choosing)  # noqa: S101  # what choosing carries
    number = _number(turn)
    return turn.data.items[number - 1] if number and number <= len(turn.data.items) else None
