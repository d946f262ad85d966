import tracemalloc
import unicodedata

import pytest

from fsm import STAY, Command, Event, Flow, QuestionRef, Reaction, State, Text
from fsm.dispatch import said_in
from fsm.events import Answer
from fsm.values.ids import AgentId, EventId
from fsm.values.registry import AgentEntry, Registry
from fsm.values.text import compared, number_in

MARK = QuestionRef(flow="poll", id=EventId("$q"), life="l", asker=None)


class Poll(Flow):
    idle = State(initial=True)

    agree = Event(idle, STAY, reaction="👍", reply=("yes", "+1"))
    like = Event(idle, STAY, reaction="❤️")
    eat = Event(idle, STAY, command="café")


@pytest.mark.parametrize(
    "typed",
    [
        "!café",
        unicodedata.normalize("NFD", "!café"),
        "!CAFÉ",
        "! café",
        "\u200b!café",
        "!\u2060café",
        "\uff01\uff43\uff41\uff46é",
        "  !café  ",
        "!café.",
        "!café!",
    ],
)
def test_a_command_is_known_however_it_is_typed(typed: str) -> None:
    said = said_in(typed, "!")

    assert said == Command("café")
    assert Poll.eat.answers(said)


@pytest.mark.parametrize("typed", ["!", "!!", "! ", "!?", "wow!", "\u200b", "!1", "café"])
def test_what_is_no_command_is_a_text(typed: str) -> None:
    assert said_in(typed, "!") == Text(typed)


NAMES = ("@helper:example.org", "helper", "Harbour Helper!")


@pytest.mark.parametrize(
    "typed",
    [
        "helper: !status",
        "Helper, !status",
        "helper !status",
        "@helper: !status",
        "@helper:example.org !status",
        "@helper:example.org: ! status",
        "Harbour Helper!: !status",
        "\u200bHARBOUR HELPER!: \u2068!status",
        "\uff48elper\uff1a \uff01status",
    ],
)
def test_a_command_after_the_bots_name_is_the_command(typed: str) -> None:
    assert said_in(typed, "!", NAMES) == Command("status")


@pytest.mark.parametrize(
    "typed",
    [
        "helper!status",
        "helpers: !status",
        "the helper: !status",
        "helper: what does !status do",
        "helper:",
        "harbour: !status",
        f"{'x' * 10_000} helper: !status",
    ],
)
def test_a_command_after_anything_else_is_a_text(typed: str) -> None:
    assert said_in(typed, "!", NAMES) == Text(typed)


def test_a_prefix_of_full_width_is_known_too() -> None:
    assert said_in("!status", "\uff01") == said_in("\uff01status", "\uff01") == Command("status")


@pytest.mark.parametrize("key", ["👍", "👍🏽", "👍\ufe0f", "👍🏿\ufe0e"])
def test_a_reaction_counts_in_every_skin_tone_and_style(key: str) -> None:
    assert Poll.agree.answers(Reaction(key, MARK))
    assert not Poll.like.answers(Reaction(key, MARK))


def test_a_declared_variation_selector_does_not_matter_either() -> None:
    assert Poll.like.answers(Reaction("❤", MARK))


@pytest.mark.parametrize(
    "text", ["yes", "Yes.", " YES! ", "“yes”", "(yes)", "ｙｅｓ", "yes…", "+1"]
)
def test_an_answer_counts_with_punctuation_around_it(text: str) -> None:
    assert Poll.agree.answers(Answer(text, MARK))


@pytest.mark.parametrize("text", ["", "...", "yes and no", "no", "👎"])
def test_another_text_is_another_answer(text: str) -> None:
    assert not Poll.agree.answers(Answer(text, MARK))


def test_a_joined_emoji_stays_itself() -> None:
    assert compared("👩\u200d🔬") != compared("👩🔬")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        (" 12 ", 12),
        ("\uff13", 3),
        ("9" * 5_000, None),
        ("²", None),
        ("٣", 3),
        ("-1", None),
        ("(-1)", None),
        ("1.", 1),
        ("#1", 1),
        ("“1”", 1),
        ("1.5", None),
        ("1-2", None),
        ("...", None),
    ],
)
def test_a_number_is_read_within_bounds(text: str, number: int | None) -> None:
    assert number_in(text) == number


@pytest.mark.parametrize(
    "choice", ["1", "1.", "Agent-1", "“agent-1”.", "\uff41gent-1", " agent-1\u200b"]
)
def test_an_agent_is_found_however_its_name_is_typed(choice: str) -> None:
    agents = Registry([AgentEntry(id=AgentId("agent-1"), name="One", kind="echo")])

    assert agents.find(choice) is not None
    assert agents.find("9" * 5_000) is None


def test_what_is_remembered_of_long_texts_is_short() -> None:
    tracemalloc.start()
    for number in range(100):
        compared(f"{number}" + "x" * 60_000)
    held, _most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 1_000_000


def test_an_agent_whose_name_ends_in_punctuation_is_no_other() -> None:
    agents = Registry(AgentEntry(id=AgentId(i), name=i, kind="echo") for i in ("c", "c#"))

    assert [getattr(agents.find(choice), "id", None) for choice in ("C", "C#", "c!")] == [
        "c",
        "c#",
        None,
    ]
