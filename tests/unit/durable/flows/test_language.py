from datetime import UTC, datetime

import pytest

from durable.flows.language import Chosen, Language, language_code, language_key
from durable.flows.signals import ForgetLanguage
from durable.records import FlowRecord
from fsm import Command, EventKind, Flow, Inbound, Reset, Snapshot, Triggered, Turn
from fsm.values.ids import EventId
from strandline.flows.languages import LANGUAGES, translator_for
from tests.support.talk import ALICE, ROOM, said

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUSSIAN = Snapshot("chosen", Chosen("ru"))


@pytest.fixture
def language() -> Language:
    return Language(LANGUAGES, translator=translator_for)


async def step(
    flow: Flow, stimulus: Command | Triggered, *, at: Snapshot | None = None, speaks: str = "en"
) -> tuple[Snapshot, Turn]:
    inbound = Inbound(event_id=EventId("$1"), room_id=ROOM, sender=ALICE, kind=EventKind.TEXT)
    turn = Turn(inbound=inbound, now=NOW, stimulus=stimulus, translator=translator_for(speaks))
    before = at or flow.at_rest
    move = flow.choose(before, stimulus, turn)
    assert move is not None
    return await flow.step(before, move, turn), turn


@pytest.mark.parametrize("name", ["ru", "RU", "русский", "Русский", "russian", " ru "])
async def test_a_language_is_chosen_by_its_code_or_a_name_and_confirmed_in_itself(
    language: Language, name: str
) -> None:
    after, turn = await step(language, Command("language", name))

    assert after == RUSSIAN
    assert said(turn) == "Хорошо, теперь я буду писать вам по-русски."


@pytest.mark.parametrize("name", ["en", "english", "английский"])
async def test_a_choice_can_be_changed(language: Language, name: str) -> None:
    after, turn = await step(language, Command("language", name), at=RUSSIAN, speaks="ru")

    assert after == Snapshot("chosen", Chosen("en"))
    assert said(turn) == "OK, I'll use English from now on."


async def test_without_an_argument_the_language_and_the_choices_are_named(
    language: Language,
) -> None:
    _, english = await step(language, Command("language"))
    after, russian = await step(language, Command("language"), at=RUSSIAN, speaks="ru")

    assert said(english).splitlines() == [
        "Your language is English. You can choose one of these:",
        "",
        "- `!language en`: English",
        "- `!language ru`: русский",
    ]
    assert said(russian).startswith("Ваш язык — русский.")
    assert after == RUSSIAN


async def test_an_unknown_language_is_quoted_back_with_the_choices(language: Language) -> None:
    after, turn = await step(language, Command("language", "klingon"))

    assert after == language.at_rest
    assert said(turn).startswith("I don't know the language “klingon”. Choose one of these:")
    assert "`!language ru`: русский" in said(turn)


@pytest.mark.parametrize("signal", [ForgetLanguage(), Reset(Language)])
async def test_a_choice_can_be_forgotten(language: Language, signal: object) -> None:
    after, turn = await step(language, Triggered(signal), at=RUSSIAN)

    assert after == language.at_rest
    assert turn.effects == []


def test_a_choice_is_kept_under_the_users_key() -> None:
    assert language_key(ALICE) == "flow:language:@alice:x"


@pytest.mark.parametrize(
    ("record", "code"), [({"code": "ru"}, "ru"), ({}, None), ({"code": 3}, None)]
)
def test_what_is_kept_says_its_code_if_it_has_one(
    record: dict[str, object], code: str | None
) -> None:
    assert language_code(FlowRecord(state="chosen", version=1, record=record)) == code
    assert language_code(None) is None
