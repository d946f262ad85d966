"""The causes of an event, as words, and causes that can never happen."""

import re
from collections.abc import Iterator

from fsm.checks.methods import Flaws
from fsm.events import ANY, Event, is_signal_class
from fsm.values.inbound import EventKind
from fsm.values.text import answered, compared


def is_cause(cause: object) -> bool:
    """Whether the value is an event kind, or a frozen signal class."""
    return isinstance(cause, EventKind) or is_signal_class(cause)


ANY_COMMAND = f"the command {ANY!r}"
ANY_ANSWER = f"the answer {ANY!r}"
ANY_TEXT = "text"


def causes(event: Event) -> Iterator[tuple[str, str]]:
    """Yield each cause of the event, and the cause that would match all that it matches.

    Yields:
        Two texts, such as ``the command 'help'`` and ``ANY_COMMAND``; the second is empty if there
        is no wider cause.
    """
    yield from ((f"the command {compared(name)!r}", ANY_COMMAND) for name in event.command)
    yield from ((f"the reaction {compared(key)}", "") for key in event.reaction)
    yield from ((f"the answer {answered(text)!r}", ANY_ANSWER) for text in event.reply)
    if event.text:
        yield ANY_TEXT if event.text is True else f"the text {event.text_label!r}", ANY_TEXT
    if event.attachment:
        yield "a file", ""
    if event.on_expiry:
        yield "the end of its time", ""
    if event.kind is not None:
        yield f"an event of kind {event.kind.value!r}", ""
    if event.signal is not None:
        yield f"the signal {event.signal.__name__}", ""


def never_matched(event: Event) -> Flaws:
    """Yield an error for each cause of the event that no message can match."""
    for name in event.command:
        if name != ANY and not _can_be_typed(name):
            yield (
                "SL134",
                f"the command {name!r} is not written as commands are compared",
                "write one word in lower case that begins with a letter, without the prefix",
            )
    for text in event.reply:
        if text != compared(text):
            yield (
                "SL134",
                f"the answer {text!r} is not written as answers are compared",
                f"write {compared(text)!r}",
            )
    if isinstance(event.text, str):
        try:
            re.compile(event.text)
        except re.error as error:
            yield (
                "SL124",
                f"its text is no regular expression: {error}",
                "mend the expression, or write text=True for any text",
            )


def _can_be_typed(name: str) -> bool:
    return name[:1].isalpha() and name == answered(name) and not any(map(str.isspace, name))
