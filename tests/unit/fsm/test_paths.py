from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fsm import STAY, Event, Flow, Scope, State, durable, ephemeral, minutes
from fsm.paths import (
    By,
    Edge,
    PathPlan,
    Position,
    Walk,
    arrive,
    edges_from,
    left_out,
    position,
    transitions,
    walks,
)


class Question(Flow):
    scope = Scope.MEMBER

    idle = State(initial=True)
    kept = State(durable)
    awaiting = State(ephemeral, expires=minutes(5))

    keep = Event(idle, kept, command="keep")
    ask = Event((idle, kept), awaiting, command="ask")
    yes = Event(awaiting, idle, command="yes")
    drop = Event(kept, idle, command="drop")


@st.composite
def flows(draw: st.DrawFn) -> type[Flow]:
    """A flow of up to four states, each of which can be entered from idle and left to it."""
    body: dict[str, Any] = {"idle": State(initial=True)}
    states = [body["idle"]]
    for number in range(draw(st.integers(0, 3))):
        ends = draw(st.none() | st.integers(1, 3).map(minutes))
        is_durable = draw(st.booleans())
        state = (
            State(durable, expires=ends)
            if is_durable
            else State(ephemeral, expires=ends or minutes(1))
        )
        body[f"state_{number}"] = state
        states.append(state)
        body[f"enter_{number}"] = Event(states[0], state, command=f"enter{number}")
        body[f"leave_{number}"] = Event(state, states[0], command=f"leave{number}")
        if ends and draw(st.booleans()):
            body[f"end_{number}"] = Event(state, draw(st.sampled_from(states)), on_expiry=True)
    for number in range(draw(st.integers(0, 3))):
        sources = draw(st.lists(st.sampled_from(states), min_size=1, unique=True))
        target = draw(st.sampled_from([*states, STAY]))
        body[f"event_{number}"] = Event(sources, target, command=f"c{number}")
    return type("Drawn", (Flow,), body)


@given(flows(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_each_walk_begins_with_another_and_comes_after_it(flow: type[Flow], length: int) -> None:
    found = walks(flow, length=length)

    places = {walk: place for place, walk in enumerate(found)}
    assert len(places) == len(found)
    for walk in found:
        beginnings = [places[beginning] for beginning in walk.prefixes()]
        assert beginnings == sorted(beginnings)
    assert [len(walk) for walk in found] == sorted(len(walk) for walk in found)


@given(flows(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_each_step_begins_where_the_one_before_ends(flow: type[Flow], length: int) -> None:
    for walk in walks(flow, length=length):
        for one, next_ in pairwise(walk.edges):
            assert one.target == next_.source
            assert (one.by, next_.by) != (By.RESTART, By.RESTART)
        assert not walk.edges or walk.edges[0].by is By.EVENT


@given(flows(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_walk_up_to_the_length_is_missing(flow: type[Flow], length: int) -> None:
    found = set(walks(flow, length=length))
    assert Walk(flow.idle_state.name) in found
    for walk in found:
        if len(walk) < length and not walk.ends_in_restart and walk.edges:
            for edge in edges_from(flow, position(flow, walk), PathPlan()):
                assert walk.then(edge) in found


@given(flows(), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_every_transition_is_walked(flow: type[Flow], length: int) -> None:
    walked = {edge for walk in walks(flow, length=length) for edge in walk.edges}

    declared = {
        (source.name, event.name)
        for event in flow.events.values()
        for source in event.sources
        if not event.on_expiry or source.expires
    }
    assert declared <= {(edge.source, edge.event) for edge in walked} | set(
        left_out(flow, PathPlan())
    )
    idle = flow.idle_state.name
    at_idle = Edge(idle, idle, By.RESTART)
    assert set(transitions(flow, PathPlan())) - {at_idle} <= walked


@given(flows())
@settings(max_examples=60, deadline=None)
def test_a_restart_leads_to_the_last_durable_state_entered(flow: type[Flow]) -> None:
    for walk in walks(flow, length=3):
        entered = [flow.idle_state, *(flow.states[edge.target] for edge in walk.edges)]
        for number, edge in enumerate(walk.edges):
            if edge.by is By.RESTART:
                kept = [s for s in entered[: number + 1] if s.initial or s.is_durable]
                assert edge.target == kept[-1].name


@given(flows())
@settings(max_examples=30, deadline=None)
def test_the_same_flow_has_the_same_walks(flow: type[Flow]) -> None:
    assert walks(flow) == walks(flow)


def test_the_walks_of_a_small_flow_read_as_what_happens() -> None:
    found = [str(walk) for walk in walks(Question, length=2)]

    assert found == [
        "idle",
        "idle --!keep--> kept",
        "idle --!ask--> awaiting",
        "idle --!keep--> kept --!ask--> awaiting",
        "idle --!keep--> kept --!drop--> idle",
        "idle --!keep--> kept --restart--> kept",
        "idle --!ask--> awaiting --!yes--> idle",
        "idle --!ask--> awaiting --time is up--> idle",
        "idle --!ask--> awaiting --restart--> idle",
        "idle --!keep--> kept --!ask--> awaiting --time is up--> kept",
        "idle --!keep--> kept --!ask--> awaiting --restart--> kept",
    ]


def test_what_is_not_to_be_walked_is_not() -> None:
    plan = PathPlan(without={("idle", "keep")})

    assert "keep" not in {edge.event for walk in walks(Question, plan=plan) for edge in walk.edges}
    assert left_out(Question, plan) == [("idle", "keep"), ("kept", "ask"), ("kept", "drop")]


def test_each_sample_of_an_event_is_walked() -> None:
    found = walks(Question, length=1, plan=PathPlan(samples={("idle", "keep"): 3}))

    assert [walk.edges[0].sample for walk in found[1:5]] == [0, 1, 2, 0]


def test_an_ephemeral_state_leaves_the_fallback_where_it_was() -> None:
    here = Position("kept", "kept")

    assert arrive(Question, here, "awaiting") == Position("awaiting", "kept")
    assert arrive(Question, here, "idle") == Position("idle", "idle")
