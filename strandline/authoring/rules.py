"""Lint rules that need a flow's types and source. Checks of the class itself are in ``fsm``."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from attrs import NOTHING, fields, frozen, has

from durable.store import why_not_storable
from fsm import Event, Flow, State
from fsm.checks.findings import Finding, Severity
from fsm.events import ANY, BACK, Handler, targets_from
from fsm.flow import handlers_of
from fsm.kept_record import KeptAsRecord
from strandline.authoring.sources import Mentioned, Sources, argument, may_return
from strandline.authoring.writing import COLLECTIONS, DATA, changed_fields, requested_effects
from strandline.flows.builtin import FLOWS


@frozen
class Rules:
    """Checks one flow against the lint rules.

    Args:
        flow: The flow.
        sources: Reads the source files.
        mentioned: The names that the source files of the flow's project use.
    """

    flow: type[Flow]
    sources: Sources
    mentioned: Mentioned

    def findings(self) -> Iterator[Finding]:
        """Yield all findings about the flow."""
        yield from self._lost()
        for state in self.flow.states.values():
            yield from self._kept(state)
            yield from self._shared(state)
        for event in self.flow.events.values():
            yield from self._swallowing(event)
            yield from self._caused(event)
            yield from self._asked(event)
            yield from self._guarded(event)
        for handler, events in handlers_of(self.flow):
            yield from self._typed(handler, events)
            yield from self._changing(handler, events)

    def _lost(self) -> Iterator[Finding]:
        for name in self.sources.named_twice(self.flow):
            yield self._error(
                "SL211",
                name,
                "the class body has two of this name, and the first of them is lost",
                "give each a name of its own",
            )

    def _kept(self, state: State) -> Iterator[Finding]:
        if state.record is None or not has(state.record):
            return
        problem = why_not_storable(state.record)
        if problem is not None:
            yield self._error(
                "SL201",
                state.name,
                f"its record {state.record.__name__} can't be read back: {problem}",
                "give its fields types that JSON has, or attrs classes, enums or datetimes",
            )

    def _shared(self, state: State) -> Iterator[Finding]:
        cls = state.data_type
        if cls is None or not has(cls):
            return
        for attribute in fields(cls):
            if attribute.default is not NOTHING and isinstance(attribute.default, COLLECTIONS):
                kind = type(attribute.default).__name__
                yield self._warning(
                    "SL204",
                    state.name,
                    f"all of its {cls.__name__} share one {kind} as {attribute.name}",
                    f"write {attribute.name} = attrs.field(factory={kind}), or make it a tuple",
                )

    def _swallowing(self, event: Event) -> Iterator[Finding]:
        is_at_idle = any(state.initial for state in event.sources)
        if (
            event.text is True
            and event.condition is None
            and is_at_idle
            and not issubclass(self.flow, KeptAsRecord)
        ):
            yield self._warning(
                "SL202",
                event.name,
                "at idle it takes every message that is no command: none reaches an agent",
                "give it a guard or a regular expression, or begin with a command",
            )

        takes_all = ANY in event.command and event.condition is None
        if takes_all and self.flow not in FLOWS:
            yield self._warning(
                "SL210",
                event.name,
                f"in state {event.sources[0].name!r} it takes every command, and so nobody can "
                "reach the bot's own, such as the one for help",
                "name its commands, or give it a guard",
            )

    def _caused(self, event: Event) -> Iterator[Finding]:
        has_cause = (
            event.command
            or event.text
            or event.reaction
            or event.reply
            or event.attachment
            or event.on_expiry
            or event.kind
        )
        if has_cause or issubclass(self.flow, KeptAsRecord):
            return
        if event.signal is None:
            problem = "nothing causes it: no command, text, signal or the like"
            yield self._warning("SL203", event.name, problem, "give it a cause, or drop it")
        elif event.signal.__name__ not in self.mentioned.called:
            name = event.signal.__name__
            problem = f"only a {name} causes it, and no turn triggers one"
            remedy = f"write turn.trigger({name}(…)) in a handler, or drop the event"
            yield self._warning("SL203", event.name, problem, remedy)

    def _asked(self, event: Event) -> Iterator[Finding]:
        is_an_answer = event.reaction or event.reply
        asks = "ask_back" in self.mentioned.called or "question_ref" in self.mentioned.names
        if is_an_answer and not asks:
            yield self._warning(
                "SL205",
                event.name,
                "it is an answer to a question of this flow's, and no turn asks one",
                "ask with turn.ask_back(text)",
            )

    def _guarded(self, event: Event) -> Iterator[Finding]:
        name = getattr(event.condition, "__name__", "")
        guard = self.sources.method(self.flow, name)
        for wanted in dict.fromkeys(requested_effects(guard) if guard is not None else ()):
            yield self._error(
                "SL206",
                name,
                f"a guard only answers, and may be asked in vain; this one calls {wanted}",
                f"call it in a handler of {event.name!r}, or of the event that is tried next",
            )

    def _changing(self, handler: Handler, events: tuple[Event, ...]) -> Iterator[Finding]:
        written = self.sources.method(self.flow, handler.__name__)
        if written is None:
            return
        given = {s.data_type for event in events for s in event.sources if s.data_type is not None}
        changed = [each for cls in given for each in changed_fields(written, cls)]
        for each in dict.fromkeys(changed):
            yield self._warning(
                "SL207",
                handler.__name__,
                f"it changes {each} in place, which stays changed if the turn fails",
                "return a changed copy, made with attrs.evolve",
            )

    def _typed(self, handler: Handler, events: tuple[Event, ...]) -> Iterator[Finding]:
        written = self.sources.method(self.flow, handler.__name__)
        if written is None or len(written.decorator_list) > 1:
            return  # what is made of it may take and return something else
        try:
            hints = get_type_hints(handler)
        except (NameError, TypeError, AttributeError):
            return  # only for type checkers
        takes = hints.get(argument(written, DATA) or "", Any)
        returns = hints.get("return", Any if may_return(written) else NoneType)
        for event in events:
            for source in event.sources:
                yield from self._given(handler, event, source, takes)
                yield from self._returned(handler, event, source, returns)

    def _given(
        self, handler: Handler, event: Event, source: State, takes: object
    ) -> Iterator[Finding]:
        if not _may_be(takes, source.data_type or NoneType):
            yield self._warning(
                "SL208",
                handler.__name__,
                f"it takes {_named(takes)}, but {source.name!r}, which answers {event.name!r}, "
                f"carries {_named(source.data_type)}",
                "say what it is given, from each of the event's sources",
            )

    def _returned(
        self, handler: Handler, event: Event, source: State, returns: object
    ) -> Iterator[Finding]:
        for target in targets_from(self.flow.events.values(), event, source):
            wanted = target.data_type or NoneType
            kept = target.data_type if event.target is BACK else source.data_type
            keeps = kept is not None and issubclass(kept, wanted)
            if not _may_be(returns, wanted) and not (keeps and _may_be(returns, NoneType)):
                yield self._error(
                    "SL209",
                    handler.__name__,
                    f"it returns {_named(returns)}, but {event.name!r} leads to {target.name!r}, "
                    f"which carries {_named(target.data_type)}",
                    "return what the target state carries",
                )

    def _error(self, code: str, where: str, problem: str, remedy: str) -> Finding:
        return Finding(
            code=code, flow=self.flow.__name__, where=where, problem=problem, remedy=remedy
        )

    def _warning(self, code: str, where: str, problem: str, remedy: str) -> Finding:
        return Finding(
            code=code,
            flow=self.flow.__name__,
            where=where,
            problem=problem,
            remedy=remedy,
            severity=Severity.WARNING,
        )


def _may_be(said: object, cls: type) -> bool:
    """Whether an annotation allows a value of the class; True if that can't be determined."""
    if get_origin(said) in (Union, UnionType):
        return any(_may_be(each, cls) for each in get_args(said))
    if not isinstance(said, type) or get_origin(said) is not None:
        return True
    if not has(said) and said.__module__ != "builtins":
        return True
    return issubclass(cls, said) or (cls is not NoneType and issubclass(said, cls))


def _named(said: Any) -> str:
    if said is None or said is NoneType:
        return "nothing"
    return said.__name__ if isinstance(said, type) else str(said)
