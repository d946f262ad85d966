"""Who is on call in a room: whoever takes the duty, until a colleague has taken it over.

    !oncall     take the duty, or see who has it
    !handover   offer it to the room; the first who puts ✅ on the offer has it
    !offcall    end it, once you have confirmed that nobody will be on call

A restart keeps who is on call, and since when. It forgets an offer that nobody has taken yet, and a
question that nobody has answered: the duty stays where it was.
"""

from datetime import datetime

from attrs import frozen

from strandline import STAY, Event, Flow, Scope, State, Turn, durable, ephemeral, hours, on


@frozen
class Duty:
    """Who is on call, and since when."""

    person: str
    since: datetime


@frozen
class EndDuty:
    """They are sure."""


class OnCall(Flow):
    """The duty of one room."""

    scope = Scope.ROOM

    idle = State(initial=True)
    on_call = State(durable, record=Duty)
    offered = State(ephemeral, memory=Duty, expires=hours(1), lost="who takes it too late is told")

    take = Event(idle, on_call, command="oncall", help="take the duty, or see who has it")
    show = Event((on_call, offered), STAY, command="oncall")
    offer = Event((on_call, offered), offered, command="handover", help="offer it to the room")
    accept = Event(offered, on_call, reaction="✅")
    accept_late = Event(on_call, STAY, reaction="✅")
    ask_end = Event((on_call, offered), STAY, command="offcall", help="end the duty")
    end = Event((on_call, offered), idle, on=EndDuty)
    nobody = Event(idle, STAY, command=("handover", "offcall"))

    @accept.guard
    @accept_late.guard
    def is_a_colleague(self, turn: Turn) -> bool:
        """Nobody takes the duty over from themselves."""
        duty: Duty = turn.data
        return duty.person != turn.sender

    @on(take)
    def begin(self, turn: Turn) -> Duty:
        """The duty is free."""
        turn.reply(f"{turn.sender} is on call.")
        return Duty(turn.sender, since=turn.now)

    @on(show)
    def tell(self, turn: Turn, duty: Duty) -> None:
        """Somebody wants to know, or would take it."""
        turn.reply(f"{duty.person} is on call since {duty.since:%d %B %H:%M} UTC.")

    @on(offer)
    def ask_for_somebody(self, turn: Turn, duty: Duty) -> None:
        """Anyone may answer."""
        question = f"Who takes over from {duty.person}? Put ✅ on this message."
        turn.ask_back(question, anyone=True)

    @on(accept)
    def hand_over(self, turn: Turn, duty: Duty) -> Duty:
        """A colleague has it now."""
        turn.say(f"{turn.sender} is on call now. Thank you, {duty.person}.")
        return Duty(turn.sender, since=turn.now)

    @on(accept_late)
    def explain(self, turn: Turn, duty: Duty) -> None:
        """The offer was taken by somebody else, or its hour was up, or a restart forgot it."""
        turn.say(f"This offer is no longer open: {duty.person} is on call.")

    @on(ask_end)
    def confirm_end(self, turn: Turn) -> None:
        """Nothing happens before the yes."""
        turn.confirm("Shall nobody be on call?", then=EndDuty())

    @on(end)
    def leave_it(self, turn: Turn, duty: Duty) -> None:
        """It was meant."""
        turn.reply(f"{duty.person} is off call, and nobody is on call.")

    @on(nobody)
    def offer_to_begin(self, turn: Turn) -> None:
        """There is no duty to hand over or end."""
        turn.reply(f"Nobody is on call. `{turn.prefix}oncall` takes the duty.")
