"""A flow of an author's, which a bot finds beside its config: a copy of this file lies there."""

from pathlib import Path

from attrs import frozen

from strandline import Event, Flow, Scope, State, Turn, durable, hours, on

PATH = "rota_flow:Rota"


@frozen
class Duty:
    person: str


@frozen
class EndDuty:
    """They are sure."""


class Rota(Flow):
    """Who is on call in this room."""

    scope = Scope.ROOM
    idle = State(initial=True)
    on_duty = State(durable, record=Duty, expires=hours(8))

    take = Event(idle, on_duty, command="oncall")
    who = Event(on_duty, on_duty, text=r"who is .*\?")
    ask_end = Event(on_duty, on_duty, command="relieve")
    end = Event(on_duty, idle, on=EndDuty)
    over = Event(on_duty, idle, on_expiry=True)

    @on(take)
    def begin(self, turn: Turn, _data: Duty | None) -> Duty:
        turn.reply("You are on call.")
        return Duty(turn.sender)

    @on(who)
    def tell(self, turn: Turn, duty: Duty) -> None:
        turn.reply(f"{duty.person} is on call.")

    @on(ask_end)
    def ask_first(self, turn: Turn, _duty: Duty) -> None:
        turn.confirm("Relieve them?", then=EndDuty())

    @on(end)
    def relieve(self, turn: Turn, duty: Duty) -> None:
        turn.reply(f"{duty.person} is relieved.")

    @on(over)
    def lapse(self, turn: Turn, duty: Duty) -> None:
        turn.say(f"The time of {duty.person} is up.")


def put_beside(directory: Path) -> None:
    """Copy the flow to a bot's directory; ``PATH`` leads to it there."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "rota_flow.py").write_text(Path(__file__).read_text(encoding="utf-8"))
