import json

import pytest
from attrs import frozen

from fsm import STAY, Event, EventKind, Flow, State, durable, ephemeral, hours, minutes, on
from fsm.diagrams import as_json, dot, mermaid, overview, page, table
from fsm.diagrams.drawing import fallbacks
from strandline.flows.builtin import FLOWS


@frozen
class Data:
    text: str = ""


class Form(Flow):
    """Fill in a form; keep what was submitted.

    And more about it.
    """

    idle = State(initial=True)
    filling = State(ephemeral, expires=minutes(5))
    kept = State(durable, record=Data, expires=hours(1))
    editing = State(ephemeral, memory=Data, expires=minutes(5), lost="the form is as it was")
    checking = State(ephemeral, expires=minutes(1))

    begin = Event(idle, filling, command=("form", "new"))
    look = Event(idle, STAY, command="look")
    file = Event(filling, STAY, on=EventKind.FILE)
    submit = Event(filling, kept, reaction="✅", reply=("yes",))
    change = Event(kept, editing, text=r'set "(\w+)" &amp;')
    attach = Event(kept, kept, attachment=True)
    check = Event(kept, checking)
    lapse = Event(editing, kept, on_expiry=True)
    drop = Event((kept, editing), idle)

    @on(submit, lapse, change)
    def keep(self, _turn: object, _data: object) -> Data:
        return Data()


def test_a_diagram_tells_tiers_causes_and_what_a_restart_does() -> None:
    lines = mermaid(Form).splitlines()

    assert lines[0] == "flowchart LR"
    assert [line.strip() for line in lines[4:9]] == [
        "s_idle((idle)):::idle",
        "s_filling(filling):::ephemeral",
        "s_kept[[kept]]:::durable",
        "s_editing(editing):::ephemeral",
        "s_checking(checking):::ephemeral",
    ]
    assert [line.strip() for line in lines[9:]] == [
        's_idle -- "begin: !form, !new" --> s_filling',
        's_filling -- "time is up" --> s_idle',
        's_filling -- "submit: ✅, reply" --> s_kept',
        's_kept -- "drop<br/>time is up" --> s_idle',
        's_kept -- "attach: file" --> s_kept',
        's_kept -- "change: text “set #34;(#92;w+)#34; #38;amp#59;”" --> s_editing',
        's_kept -- "check" --> s_checking',
        's_editing -- "drop" --> s_idle',
        's_editing -- "lapse: time is up" --> s_kept',
        's_checking -- "time is up" --> s_kept',
        "s_filling -. restart .-> s_idle",
        "s_editing -. restart .-> s_kept",
        "s_checking -. restart .-> s_kept",
    ]


def test_an_ephemeral_state_falls_back_to_the_durable_states_that_it_was_last_in() -> None:
    assert fallbacks(Form, Form.editing) == [Form.kept]
    assert fallbacks(Form, Form.filling) == [Form.idle]
    assert fallbacks(Form, Form.kept) == [Form.kept]


def test_the_loss_contract_says_what_a_restart_does_and_what_is_seen_of_it() -> None:
    rows = [line.strip("| ").split(" | ") for line in table(Form).splitlines()[2:]]

    gone = "what was half done is gone;"
    assert rows == [
        ["`idle`", "idle", "changes nothing", "nothing: it goes on"],
        ["`filling`", "ephemeral", "leaves it at `idle`", f"{gone} `!form` begins it again"],
        [
            "`kept`",
            "durable",
            "brings it back, with its `Data` and its deadline",
            "nothing: it goes on",
        ],
        [
            "`editing`",
            "ephemeral",
            "leaves it at `kept`; its `Data` is forgotten",
            "the form is as it was",
        ],
        [
            "`checking`",
            "ephemeral",
            "leaves it at `kept`",
            f"{gone} what began it begins it again",
        ],
    ]


def test_a_page_lists_every_event_those_too_that_leave_no_state() -> None:
    rows = [line for line in page(Form).splitlines() if line.startswith("| `")]

    assert "| `look` | !look | `idle` | stays |" in rows
    assert "| `drop` | another turn | `kept`, `editing` | `idle` |" in rows


def test_dot_draws_durable_states_with_two_borders_and_ephemeral_ones_dashed() -> None:
    lines = dot([Form]).splitlines()

    [kept] = [line for line in lines if line.strip().startswith('"form.kept" [')]
    [editing] = [line for line in lines if line.strip().startswith('"form.editing" [')]
    assert "peripheries=2" in kept
    assert "dashed" in editing
    assert (
        '    "form.editing" -> "form.kept" [label="restart" style=dotted constraint=false]' in lines
    )
    assert any("dashed border: ephemeral" in line for line in lines)


def test_json_has_all_that_was_declared() -> None:
    described = json.loads(as_json(Form))

    assert described["about"] == "Fill in a form; keep what was submitted."
    assert described["states"][3] == {
        "name": "editing",
        "tier": "ephemeral",
        "record": None,
        "memory": "Data",
        "expires_seconds": 300.0,
        "falls_back_to": ["kept"],
        "restart": "leaves it at `kept`; its `Data` is forgotten",
        "seen": "the form is as it was",
    }
    [change] = [event for event in described["events"] if event["name"] == "change"]
    assert (change["sources"], change["target"], change["text"]) == (
        ["kept"],
        "editing",
        r'set "(\w+)" &amp;',
    )


@pytest.mark.parametrize("form", ["mermaid", "dot", "table", "json", "page"])
def test_a_flow_draws_itself_when_it_is_formatted_so(form: str) -> None:
    drawn = {
        "mermaid": mermaid(Form),
        "dot": dot([Form]),
        "table": table(Form),
        "json": as_json(Form),
        "page": page(Form),
    }

    assert format(Form, form) == drawn[form]
    assert f"{Form}" == str(Form)


def test_an_unknown_format_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="'svgg' is no format of a flow; known are dot, json"):
        format(Form, "svgg")


def test_the_overview_lists_the_flows_in_order_with_what_each_keeps_and_forgets() -> None:
    lines = [line for line in overview(FLOWS).splitlines() if line.startswith("| [")]

    assert [line.split("]")[0][3:] for line in lines] == [flow.__name__ for flow in FLOWS]
    assert lines[0] == (
        "| [Confirmation](confirmation.md): "
        "Ask the user to confirm an action that can't be undone. "
        "| user in a room | nothing | `awaiting` | `!no`, `!yes` |"
    )
