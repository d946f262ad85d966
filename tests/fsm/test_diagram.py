from attrs import frozen

from fsm import STAY, Event, Flow, Kind, State, durable, ephemeral, minutes, on
from fsm.diagram import fallbacks, mermaid


@frozen
class Data:
    text: str = ""


class Form(Flow):
    idle = State(initial=True)
    filling = State(ephemeral, expires=minutes(5))
    kept = State(durable, record=Data)
    editing = State(ephemeral, expires=minutes(5))

    begin = Event(idle, filling, command=("form", "new"))
    look = Event(idle, STAY, command="look")
    file = Event(filling, STAY, kind=Kind.FILE)
    submit = Event(filling, kept, reaction="✅", answer=("yes",))
    change = Event(kept, editing, text=True)
    lapse = Event(editing, kept, expiry=True)
    drop = Event((kept, editing), idle)

    @on(submit, lapse)
    def keep(self, _turn: object, _data: object) -> Data:
        return Data()


def test_a_diagram_tells_tiers_and_what_a_restart_does() -> None:
    assert mermaid(Form) == (
        "flowchart LR\n"
        "    classDef durable stroke-width:2px\n"
        "    classDef ephemeral stroke-dasharray:5 4\n"
        "    classDef idle stroke-width:1px\n"
        "    idle((idle)):::idle\n"
        "    filling(filling):::ephemeral\n"
        "    kept[[kept]]:::durable\n"
        "    editing(editing):::ephemeral\n"
        '    idle -- "begin: !form !new" --> filling\n'
        '    filling -- "time is up" --> idle\n'
        '    filling -- "submit: ✅ reply" --> kept\n'
        '    kept -- "drop" --> idle\n'
        '    kept -- "change: text" --> editing\n'
        '    editing -- "drop" --> idle\n'
        '    editing -- "lapse: time is up" --> kept\n'
        "    filling -. restart .-> idle\n"
        "    editing -. restart .-> kept\n"
    )


def test_an_ephemeral_state_falls_back_to_the_durable_states_that_it_was_last_in() -> None:
    assert fallbacks(Form, Form.editing) == [Form.kept]
    assert fallbacks(Form, Form.filling) == [Form.idle]
    assert fallbacks(Form, Form.kept) == [Form.kept]
