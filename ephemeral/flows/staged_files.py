"""Staged files: files that are kept until their sender sends the message that belongs to them.

Lost at a restart: which files were staged. That is fine: the files are still in the room, no agent
has received them, and ``!files`` tells the sender when the bot restarted. The sender can send the
files again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import frozen

from fsm import (
    STAY,
    Attachment,
    Event,
    EventKind,
    Flow,
    Scope,
    State,
    Translator,
    Turn,
    ephemeral,
    minutes,
    on,
)
from fsm.values.messages import Said
from fsm.values.signals import Say
from fsm.values.text import answered, as_typed, number_in

ACKNOWLEDGED = "📎"
"""The emoji that acknowledges a staged file."""


@frozen(kw_only=True)
class StageLimits:
    """The limits of staged files for one user in one room.

    Args:
        most_files: The maximum number of files.
        most_bytes_each: The maximum size of one file, in bytes.
        most_bytes_in_all: The maximum size of all files together, in bytes.
        lifetime: How long the files are kept, counted from the newest one.
    """

    most_files: int
    most_bytes_each: int
    most_bytes_in_all: int
    lifetime: timedelta


@frozen
class Staged:
    """The staged files of one user in one room, oldest first."""

    files: tuple[Attachment, ...]

    @property
    def size_bytes(self) -> int:
        """The total size of the files."""
        return sum(file.size_bytes for file in self.files)


@frozen
class CancelStaged:
    """The signal to drop the staged files, if there are any."""


class Staging(Flow):
    """Keep a user's files until the user sends the message that belongs to them.

    Args:
        limits: The limits of number, size and time.
        started_at: When this process run started.
        is_addressed: Called with a turn, returns whether its event is addressed to the bot. In a
            group, not every file is.
    """

    scope = Scope.MEMBER

    idle = State(initial=True)
    staged = State(
        ephemeral,
        memory=Staged,
        expires=minutes(30),
        lost="the files are still in the room, but no longer staged; they must be sent again",
    )

    refuse = Event((idle, staged), STAY, on=EventKind.FILE)
    stage = Event((idle, staged), staged, on=EventKind.FILE)
    take_along = Event(staged, idle, text=True)
    list_files = Event(staged, STAY, command="files")
    clear = Event(staged, idle, command="files")
    drop = Event(staged, STAY, command="files")
    misuse = Event(staged, STAY, command="files")
    list_nothing = Event(idle, STAY, command="files")
    take_back_last = Event(staged, idle, on=EventKind.REDACTED)
    take_back = Event(staged, STAY, on=EventKind.REDACTED)
    lapse = Event(staged, idle, on_expiry=True)
    cancel = Event(staged, idle, on=CancelStaged)
    cancel_nothing = Event(idle, STAY, on=CancelStaged)

    @take_along.guard
    def is_for_the_bot(self, turn: Turn) -> bool:
        """Return whether the turn's event is addressed to the bot."""
        return self._is_addressed(turn)

    @stage.guard
    def brings_a_file(self, turn: Turn) -> bool:
        """Return whether the turn's event has a file and is addressed to the bot."""
        return bool(turn.inbound.attachments) and self._is_addressed(turn)

    @refuse.guard
    def is_beyond_a_limit(self, turn: Turn) -> bool:
        """Return whether the event has a file for the bot that would exceed a limit."""
        return self.brings_a_file(turn) and self._refusal(turn) is not None

    @list_files.guard
    def names_none(self, turn: Turn) -> bool:
        """Whether the command is ``!files`` without an argument."""
        return not turn.argument

    @clear.guard
    def says_clear(self, turn: Turn) -> bool:
        """Whether the command is ``!files clear``, or drops the only file."""
        return answered(turn.argument) == "clear" or (
            self.names_a_file(turn) and len(_staged(turn).files) == 1
        )

    @drop.guard
    def names_a_file(self, turn: Turn) -> bool:
        """Return whether the command is ``!files drop N`` with the number of a staged file."""
        return _dropped(turn) is not None

    @take_back.guard
    def takes_back_one(self, turn: Turn) -> bool:
        """Return whether the turn's event redacts a staged file."""
        return turn.inbound.about in [file.event_id for file in _staged(turn).files]

    @take_back_last.guard
    def takes_back_the_last(self, turn: Turn) -> bool:
        """Return whether the turn's event redacts the only staged file."""
        return self.takes_back_one(turn) and len(_staged(turn).files) == 1

    def __init__(
        self, limits: StageLimits, *, started_at: datetime, is_addressed: Callable[[Turn], bool]
    ) -> None:
        self._limits = limits
        self._started_at = started_at
        self._is_addressed = is_addressed

    def lifetime(self, _state: State) -> timedelta:
        """Return how long files stay staged, from the config."""
        return self._limits.lifetime

    @on(refuse)
    def name_limit(self, turn: Turn, staged: Staged | None) -> None:
        """Tell the sender which limit the file exceeds, and which files are staged already."""
        refusal = self._refusal(turn)
        assert refusal is not None  # noqa: S101  # the guard found it
        turn.reply(f"{refusal}\n\n{_listed(turn, staged)}" if staged else refusal)

    @on(stage)
    def keep(self, turn: Turn, staged: Staged | None) -> Staged:
        """Stage the file, and acknowledge it with a reaction."""
        turn.react(ACKNOWLEDGED)
        return Staged((*(staged.files if staged else ()), *turn.inbound.attachments))

    @on(take_along)
    def say(self, turn: Turn, staged: Staged) -> None:
        """Trigger the signal that asks the agent, with the text, its files and the staged files."""
        own = (file for file in turn.inbound.attachments if file not in staged.files)
        turn.trigger(Say(Said(turn.argument, (*staged.files, *own))))

    @on(list_files)
    def show(self, turn: Turn, staged: Staged) -> None:
        """Show the sender the list of staged files, and the commands for them."""
        turn.reply(f"{_listed(turn, staged)}\n\n{_how(turn)}")

    @on(clear, cancel)
    def drop_all(self, turn: Turn, staged: Staged) -> None:
        """Drop all staged files, and tell the sender."""
        turn.reply(
            turn.ngettext(
                "OK, I dropped your waiting file.",
                "OK, I dropped your {count} waiting files.",
                len(staged.files),
            )
        )

    @on(drop)
    def drop_one(self, turn: Turn, staged: Staged) -> Staged:
        """Drop the file that the command names, and show the sender the list of the others."""
        dropped = _dropped(turn)
        left = Staged(tuple(file for file in staged.files if file is not dropped))
        turn.reply(_listed(turn, left))
        return left

    @on(misuse)
    def explain(self, turn: Turn, staged: Staged) -> None:
        """Explain to the sender how ``!files`` is used, and list the staged files."""
        turn.reply(f"{_how(turn)}\n\n{_listed(turn, staged)}")

    @on(list_nothing)
    def say_nothing_waits(self, turn: Turn) -> None:
        """Tell the sender that no file is staged, and when the bot last restarted."""
        turn.reply(
            turn.gettext(
                "You have no waiting files here. Waiting files are lost when I restart (last "
                "restart: {moment}). If you still need the file, send it again.",
                moment=turn.translator.moment(self._started_at),
            )
        )

    @on(take_back)
    def let_go(self, turn: Turn, staged: Staged) -> Staged:
        """Drop the file whose message was redacted: the agent does not get it."""
        about = turn.inbound.about
        return Staged(tuple(file for file in staged.files if file.event_id != about))

    @on(lapse)
    def give_up(self, turn: Turn, staged: Staged) -> None:
        """Tell the sender that the staged files have expired."""
        turn.say(
            turn.ngettext(
                "No message came for your file, so I dropped it. You can send it again.",
                "No message came for your {count} files, so I dropped them. "
                "You can send them again.",
                len(staged.files),
            )
        )

    def _refusal(self, turn: Turn) -> str | None:
        """Return why the turn's file can't be staged, as a reply to the sender; None if it can."""
        limits, staged, translator = self._limits, _staged(turn), turn.translator
        new = Staged(turn.inbound.attachments)
        name = ", ".join(_name(file) for file in new.files)
        if any(file.size_bytes > limits.most_bytes_each for file in new.files):
            return turn.gettext(
                "“{name}” is too large ({size}; the limit is {most}). Please send a smaller file.",
                name=as_typed(name),
                size=translator.size(new.size_bytes),
                most=translator.size(limits.most_bytes_each),
            )
        if len(staged.files) + len(new.files) > limits.most_files:
            return turn.ngettext(
                "I didn't accept “{name}”: only {count} file can wait. Send the message it "
                "belongs to, or drop it.",
                "I didn't accept “{name}”: only {count} files can wait. Send the message they "
                "belong to, or drop one.",
                limits.most_files,
                name=as_typed(name),
            )
        if staged.size_bytes + new.size_bytes > limits.most_bytes_in_all:
            return turn.gettext(
                "I didn't accept “{name}” ({size}): waiting files may total {most}. Send the "
                "message they belong to, or drop one.",
                name=as_typed(name),
                size=translator.size(new.size_bytes),
                most=translator.size(limits.most_bytes_in_all),
            )
        return None


def _staged(turn: Turn) -> Staged:
    return turn.data if isinstance(turn.data, Staged) else Staged(())


def _dropped(turn: Turn) -> Attachment | None:
    """Return the staged file that ``!files drop N`` names; None if the command names none."""
    verb, _, which = answered(turn.argument).partition(" ")
    number = number_in(which) if verb == "drop" else None
    files = enumerate(_staged(turn).files, start=1)
    return next((file for n, file in files if n == number), None)


def _listed(turn: Turn, staged: Staged) -> str:
    lines = [f"{n}. {_line(turn.translator, file)}" for n, file in enumerate(staged.files, start=1)]
    return turn.ngettext(
        "{count} file waits for your next message ({size}):\n\n{list}",
        "{count} files wait for your next message ({size} in all):\n\n{list}",
        len(staged.files),
        size=turn.translator.size(staged.size_bytes),
        list="\n".join(lines),
    )


def _line(translator: Translator, file: Attachment) -> str:
    name, mimetype = as_typed(_name(file)), as_typed(file.mimetype)
    return f"{name} ({mimetype}, {translator.size(file.size_bytes)})"


def _name(file: Attachment) -> str:
    return " ".join(file.name.split())[:100]


def _how(turn: Turn) -> str:
    return turn.gettext(
        "`{prefix}files` lists the waiting files, `{prefix}files drop NUMBER` drops one, "
        "`{prefix}files clear` drops all.",
        prefix=turn.prefix,
    )
