"""The table of a flow as one shared ``transitions`` machine.

The only module that knows the ``transitions`` library. The machine has no model: a temporary cursor
represents the conversation, so the machine needs no memory for each conversation. Automatic
``to_<state>`` transitions are off, and nothing awaits inside a transition.
"""

import logging
from collections.abc import Mapping
from typing import Any

import transitions
from attrs import define

from fsm.events import Event
from fsm.states import State, Tier

logging.getLogger("transitions").setLevel(logging.WARNING)


class _TieredState(transitions.State):
    """A state of the machine, with its tier."""

    def __init__(self, name: str, tier: Tier | None) -> None:
        super().__init__(name)
        self.tier = tier


@define(eq=False)
class _Cursor:
    """Represents one conversation while one event is triggered."""

    state: str
    flow: object
    turn: object


class Table:
    """Finds the target states of a flow's events, with a ``transitions`` machine."""

    def __init__(self, states: Mapping[str, State], events: Mapping[str, Event]) -> None:
        initial = next(s.name for s in states.values() if s.initial)
        self._machine: Any = transitions.Machine(
            model=None,
            states=[_TieredState(s.name, s.tier) for s in states.values()],
            initial=initial,
            auto_transitions=False,
            send_event=True,
        )
        for event in events.values():
            self._add(event)

    def target(self, event: str, state: str, flow: object, turn: object) -> str | None:
        """Return the name of the state to which an event leads.

        For an event whose target is ``STAY`` or ``BACK``, this is ``state``.

        Args:
            event: The name of the event.
            state: The name of the conversation's current state.
            flow: The flow, passed to the event's guard.
            turn: The turn, passed to the event's guard.

        Returns:
            None if the event is not possible in ``state``, or if its guard returns False.
        """
        if event not in self._machine.get_triggers(state):
            return None
        cursor = _Cursor(state, flow, turn)
        return cursor.state if self._machine.events[event].trigger(cursor) else None

    def _add(self, event: Event) -> None:
        guard = event.condition
        conditions = (
            [lambda data: guard(data.model.flow, data.model.turn)] if guard is not None else None
        )
        self._machine.add_transition(
            event.name,
            [source.name for source in event.sources],
            "=" if not isinstance(event.target, State) else event.target.name,
            conditions=conditions,
        )
