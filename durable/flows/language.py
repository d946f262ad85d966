"""The flow by which a user chooses the bot's language. The choice survives a restart."""

from collections.abc import Callable, Mapping

from attrs import frozen

from durable.flows.signals import ForgetLanguage
from durable.records import FlowRecord, flow_key
from fsm import STAY, Event, Flow, Scope, State, Translator, Turn, durable, on
from fsm.values.ids import ConversationKey, UserId
from fsm.values.text import answered, as_typed, compared


@frozen
class Chosen:
    """The record of a user who has chosen a language.

    Args:
        code: The code of the language, ``en`` or ``ru``.
    """

    code: str


class Language(Flow):
    """Choose the language in which the bot talks to a user.

    Args:
        names: For each language code, the names that users can type for the language. The first is
            the language's name in the language itself.
        translator: Called with a language code; returns the translator to that language.
    """

    scope = Scope.USER

    idle = State(initial=True)
    chosen = State(durable, record=Chosen)

    choice = Event((idle, chosen), chosen, command="language")
    misname = Event((idle, chosen), STAY, command="language")
    forget = Event((idle, chosen), idle, on=ForgetLanguage)

    @choice.guard
    def names_a_language(self, turn: Turn) -> bool:
        """Whether the command's argument is a language's code or name."""
        return self._find(turn.argument) is not None

    def __init__(
        self, names: Mapping[str, tuple[str, ...]], *, translator: Callable[[str], Translator]
    ) -> None:
        self._names = names
        self._translators = {code: translator(code) for code in names}

    @on(choice)
    def change(self, turn: Turn) -> Chosen:
        """Store the chosen language, and confirm the choice to the sender in that language."""
        code = self._find(turn.argument)
        assert code is not None  # noqa: S101  # the guard found it
        # Translators: name your own language
        turn.reply(self._translators[code].gettext("OK, I'll use English from now on."))
        return Chosen(code)

    @on(misname)
    def list_languages(self, turn: Turn) -> None:
        """Reply with the list of languages. Quote an unknown name in the command."""
        choices = "\n".join(
            f"- `{turn.prefix}language {code}`: {names[0]}" for code, names in self._names.items()
        )
        if turn.argument:
            message = turn.gettext(
                "I don't know the language “{language}”. Choose one of these:\n\n{choices}",
                language=as_typed(turn.argument[:60]),
                choices=choices,
            )
        else:
            # Translators: name your own language
            message = turn.gettext(
                "Your language is English. You can choose one of these:\n\n{choices}",
                choices=choices,
            )
        turn.reply(message)

    def _find(self, name: str) -> str | None:
        wanted = answered(name)
        for code, names in self._names.items():
            if wanted in (compared(code), *map(compared, names)):
                return code
        return None


def language_key(user_id: UserId) -> str:
    """The key of the record with the user's choice of a language."""
    return flow_key(Language.name, ConversationKey(user_id))


def language_code(kept: FlowRecord | None) -> str | None:
    """Return the language code in the record under ``language_key``.

    Args:
        kept: The record; None if the user has chosen no language.

    Returns:
        The code; None if there is no record, or no code in it.
    """
    code = kept.record.get("code") if kept else None
    return code if isinstance(code, str) else None
