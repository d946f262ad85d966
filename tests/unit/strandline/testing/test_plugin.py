"""The pytest plugin, as somebody uses it whose project knows Strandline as a package only."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strandline.installation import pip_install
from tests.support.limits import HANGS_SECONDS
from tests.unit.strandline.testing.processes import is_running

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]

FLOWS = '''
from attrs import frozen
from strandline import Event, Flow, Scope, State, Turn, durable, ephemeral, hours, minutes, on


@frozen
class Duty:
    person: str


class Rota(Flow):
    """Who is on call in this room."""

    scope = Scope.ROOM

    idle = State(initial=True)
    on_duty = State(durable, record=Duty, expires=hours(8))
    offering = State(ephemeral, memory=Duty, expires=minutes(5))

    take = Event(idle, on_duty, command="oncall")
    over = Event(on_duty, idle, on_expiry=True)
    offer = Event(on_duty, offering, command="offer")
    accept = Event(offering, on_duty, reaction="✅", reply="me")
    lapse = Event(offering, on_duty, on_expiry=True)

    @on(take)
    def begin(self, turn: Turn, _nothing: None) -> Duty:
        turn.reply(f"{turn.sender} is on call.")
        return Duty(turn.sender)

    @on(over)
    def end(self, turn: Turn, duty: Duty) -> None:
        turn.say(f"The time of {duty.person} is up.")

    @on(offer)
    def ask(self, turn: Turn, duty: Duty) -> Duty:
        turn.ask_back("Who takes over?", anyone=True)
        return duty

    @on(accept)
    def change(self, turn: Turn, _duty: Duty) -> Duty:
        turn.say(f"{turn.sender} takes over.")
        return Duty(turn.sender)
'''

SCENARIOS = """
import re
import pytest
from strandline import Event, Flow, State, hours, minutes, on
from watch.flows import Rota

pytestmark = pytest.mark.strandline(flows=[Rota])

class Greeting(Flow):
    idle = State(initial=True)
    greet = Event(idle, idle, text=r"good (morning|evening)")

    @on(greet)
    def answer(self, turn, _data):
        turn.reply(f"A good {turn.match[1]} to you, too!")

@pytest.mark.strandline(flows=[Greeting])
async def test_a_flow_of_the_test_file(bot, alice):
    await alice.say("good morning")
    await alice.sees("A good morning to you")

async def test_what_is_durable_survives_a_kill_and_ends_in_time(bot, alice):
    await alice.say("!oncall")
    await alice.sees(f"{alice.user_id} is on call")
    await bot.kill()
    assert bot.store.state(Rota, alice) == "on_duty"
    assert bot.store.record(Rota, alice).person == alice.user_id
    assert bot.store.get(f"flow:rota:{alice.room}")["state"] == "on_duty"
    await bot.restart()
    await bot.advance(hours(7))
    await alice.does_not_see("is up")
    await bot.kill()
    await bot.advance(hours(2))
    await bot.restart()
    await alice.sees("is up")
    assert bot.store.state(Rota, alice) == "idle"
    assert bot.store.record(Rota, alice) is None
    assert [l["event"] for l in bot.log if l["level"] == "test"] == [
        "started", "killed", "started", "advanced", "killed", "advanced", "started"
    ]

async def test_another_person_answers_in_the_same_room(bot, alice, bob, person):
    await alice.say("!oncall")
    await alice.invites(bob)
    await alice.say("!offer")
    question = await alice.sees("Who takes over?")
    await bob.reacts("✅")
    await alice.sees(re.compile(r"^@bob-\\d+:\\S+ takes over\\.$"))
    assert bot.store.record(Rota, alice).person == bob.user_id == bot.store.record(Rota, bob).person
    carol = person("carol")
    assert person("carol") is carol
    await alice.invites(carol)
    await carol.say("!offer")
    await carol.sees("Who takes over?")
    await carol.replies("me")
    await bob.sees(lambda message: message.body == f"{carol.user_id} takes over.")
    await alice.reacts("✅", to=question)
    await alice.does_not_see("takes over.")

async def test_what_is_ephemeral_lapses(bot, alice, bob):
    await alice.say("!oncall")
    await alice.invites(bob)
    await alice.say("!offer")
    await alice.sees("Who takes over?")
    await bot.advance(minutes(4))
    await bob.does_not_see("takes over.")
    await bot.advance(minutes(2))
    await alice.reacts("✅")
    await alice.does_not_see("takes over.")

@pytest.mark.strandline(config={"commands": {"prefix": "?"}})
async def test_the_config_of_a_test_comes_on_top(bot, alice, bob):
    await alice.say("?oncall")
    await alice.sees("on call")
    await alice.invites(bob)
    await bob.say("Good morning, Alice")
    await alice.sees("Good morning", by=bob)

async def test_files_edits_and_what_is_taken_back(bot, alice):
    await alice.sends_file("rota.pdf")
    await alice.sees_reaction("📎")
    await alice.redacts()
    await alice.say("Where is the file?")
    await alice.sees("Where is the file?")
    await alice.edits("Where is the boat?")
    await alice.does_not_see("Where is the boat?")
    await alice.sends_file("beach.png", b"...", mimetype="image/png", text="Is this a beach?")
    await alice.sees("beach.png")
    await alice.leaves()
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a flow of its own, and no configuration at all."""
    pytester.mkpydir("watch")
    pytester.path.joinpath("watch/flows.py").write_text(FLOWS, encoding="utf-8")
    return pytester


def run(project: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    project.makepyfile(test_watch=tests)
    return project.runpytest_subprocess(*options)


def test_scenarios_with_flows_of_the_projects_own(project: pytest.Pytester) -> None:
    result = run(project, SCENARIOS)

    result.assert_outcomes(passed=6)


TALK = """
from watch.flows import Rota

async def test_a_talk(bot, alice):
    await alice.say("!oncall")
    await alice.sees("is on call")
"""

CONFTEST = """
import pytest

@pytest.fixture
def strandline_flows():
    return ["watch.flows:Rota"]

@pytest.fixture
def strandline_config():
    return {"agents": [{"id": "sage", "kind": "echo"}], "limits": {"held_seconds": 5}}
"""

ASYNC_FIXTURE = """
import pytest_asyncio

@pytest_asyncio.fixture
async def duty(alice):
    await alice.say("!oncall")
    return await alice.sees("is on call")

async def test_a_fixture_that_talks(duty, alice, bot):
    await alice.say("!offer")
    await alice.sees("Who takes over?")
    assert bot.config["agents"][0]["id"] == "sage"
    assert bot.config["rooms"] == {"onboarding": "none"}

async def test_that_is_run_by_nobody():
    pass
"""

AWKWARD = """
import asyncio
import pytest

def test_that_is_not_async(bot, alice):
    asyncio.run(alice.say("!oncall"))
    asyncio.run(alice.sees("is on call"))

@pytest.mark.asyncio(loop_scope="module")
async def test_in_a_loop_of_the_module(bot, alice):
    await alice.say("!oncall")
    await alice.sees("is on call")

class TestInAClass:
    @pytest.mark.parametrize("command", ["!oncall", "!ONCALL"])
    async def test_with_parameters(self, bot, alice, command):
        await alice.say(command)
        await alice.sees("is on call")

async def test_that_asks_for_a_fixture_while_it_runs(request, synapse):
    alice = request.getfixturevalue("alice")
    await alice.say("!oncall")
    await alice.sees("is on call")
"""


def test_flows_and_config_come_from_fixtures_and_async_fixtures_work(
    project: pytest.Pytester,
) -> None:
    project.makeconftest(CONFTEST)

    result = run(project, TALK + ASYNC_FIXTURE, "-W", "ignore")

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


@pytest.mark.parametrize(
    ("options", "outcomes"),
    [
        (["--asyncio-mode=auto"], {"passed": 5}),
        (["-o", "asyncio_default_test_loop_scope=session"], {"passed": 5}),
        (["-p", "no:asyncio"], {"passed": 5}),
    ],
    ids=["auto", "session loop", "without pytest-asyncio"],
)
def test_tests_are_run_however_the_project_runs_async_tests(
    project: pytest.Pytester, options: list[str], outcomes: dict[str, int]
) -> None:
    project.makeconftest(CONFTEST)

    result = run(project, AWKWARD, *options, "-W", "ignore")

    result.assert_outcomes(**outcomes)


def test_a_run_that_uses_nothing_of_it_imports_nothing_heavy(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_what_is_imported():
            assert "strandline.testing.plugin" in sys.modules
            assert not {"nio", "aiohttp", "synapse", "yaml"} & set(sys.modules)
        """
    )

    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others import what they like
    result = pytester.runpytest_subprocess("-p", "strandline", "-W", "error")

    result.assert_outcomes(passed=1)


FAILING = """
import pytest
from watch.flows import Rota

pytestmark = pytest.mark.strandline(flows=[Rota])

async def test_that_fails(bot, alice, bob):
    await alice.say("!oncall")
    await alice.sees("on call")
    await alice.invites(bob)
    await bob.say("Who, if I may ask?")
    await bob.edits("Who is on call?")
    await alice.sends_file("rota.pdf")
    await alice.say("!offer")
    await alice.sees("Who takes over?")
    await bob.reacts("✅")
    await alice.say("Never mind")
    await alice.redacts()
    await bot.restart()
    await alice.say("!oncall")
    await alice.sees("has no effect here")
    await alice.sees("Alice is on call for good", within_seconds=0.5)

@pytest.fixture
def seen_by_both(alice, bob):
    raise LookupError("bob sees nothing")

def test_whose_fixture_fails(seen_by_both):
    pass

async def test_that_should_not_see(alice):
    await alice.say("!oncall")
    await alice.does_not_see("is on call")

async def test_that_passes(alice):
    await alice.say("!oncall")
"""


def test_a_failure_tells_what_happened(project: pytest.Pytester) -> None:
    result = run(project, FAILING)

    result.assert_outcomes(passed=1, failed=2, errors=1)
    result.stdout.re_match_lines(
        [
            r">       await alice\.sees\(\"Alice is on call for good\", within_seconds=0\.5\)",
            r"E .*: alice does not see 'Alice is on call .*' by the bot within 0\.5 s; since.*",
            r"E       - `!oncall` has no effect here right now.*",
            r"-+ Strandline: alice's room as the homeserver has it -+",
            r"\d\d:\d\d:\d\d\.\d\d\d    alice  \(bot was invited\)",
            r".*      bot  Hello! .*",
            r".*    alice  !oncall",
            r".*      bot  alice is on call\.",
            r".*      bob  \(came in\)",
            r".*      bob  Who is on call\?  \(edited\)",
            r".*    alice  \(file rota\.pdf\)",
            r".*      bot  Who takes over\?",
            r" +\[✅ bob\]",
            r".*    alice  \(taken back\)",
            r"-+ Strandline: states -+",
            r"time +flow +whose +event +from → to",
            r"[\d:.]+  ──── started ────",
            r"[\d:.]+  rota +alice's room +take +idle → on_duty",
            r"[\d:.]+  rota +alice's room +offer +on_duty → offering",
            r"[\d:.]+  ──── killed ────",
            r"[\d:.]+  ──── started ────",
            r"-+ Strandline: the bot's log: .*bot\.log -+",
            r".* info    restart report .*",
            r".* info    ready  user_id=.*",
            r".*──── killed ────",
            r".* info    ready  user_id=.*",
        ],
    )
    told = result.stdout.str()
    assert "strandline/testing/user.py" not in told  # only the author's own line is shown
    assert re.search(r"alice sees '@alice-\d+:\S+ is on call\.', and should not", told)
    assert told.count("Strandline: states") == 3


NO_SYNAPSE = """
import sys
sys.modules["synapse"] = None  # what an interpreter without it finds
"""


def test_without_synapse_one_line_says_which_extra_to_install(project: pytest.Pytester) -> None:
    project.makeconftest(NO_SYNAPSE)

    result = run(project, SCENARIOS, "-x", "-W", "ignore")

    result.assert_outcomes(errors=1)
    remedy = f"no Synapse is installed; install the extra: {pip_install('test')}"
    told = result.stdout.str().splitlines()
    assert told.count(remedy) == 1
    assert len(told) < 20


BAD = """
import pytest
from strandline import Flow, State
from watch.flows import Rota

@pytest.mark.strandline(flows=["watch.flows:Roster"])
def test_a_flow_that_is_not_there(bot):
    pass

@pytest.mark.strandline(config={"limits": {"held_secs": 5}})
def test_a_key_that_is_not_known(bot):
    pass

@pytest.mark.strandline(flow=[Rota])
def test_a_marker_that_is_misspelt(bot):
    pass

def local():
    class Local(Flow):
        idle = State(initial=True)
    return Local

@pytest.mark.strandline(flows=[local()])
def test_a_flow_that_no_other_process_finds(bot):
    pass

@pytest.mark.strandline(config={"homeserver": {"password": "wrong"}})
def test_a_bot_that_can_not_log_in(bot):
    pass

@pytest.mark.strandline(config={"access": {"users": ["@nobody:example.org"]}})
async def test_a_bot_that_does_not_come(bot, alice):
    await alice.say("Hello?")

async def test_a_bot_that_was_killed(bot, alice, bob):
    await alice.say("Hello!")
    await bot.kill()
    with pytest.raises(Exception, match="alice has no room|bob has no room"):
        bot.store.state(Rota, bob)
    await alice.sees("What is the meaning of life?")
"""


def test_what_keeps_a_bot_from_starting_is_told_in_a_line(project: pytest.Pytester) -> None:
    result = run(project, BAD, "--tb=short")

    result.assert_outcomes(errors=5, failed=2)
    assert result.stdout.str().count("Strandline: states") == 2  # of the two that did start
    result.stdout.re_match_lines(
        [
            r"the bot does not start: .*flows\[0\]: 'watch\.flows:Roster' can't be imported: .*",
            r"the bot does not start: .*limits\.held_secs: unknown key.*",
            r"the marker strandline takes flows= and config=, no more",
            r"the bot can't import local\.<locals>\.Local: define it at the top of a module",
            r"the bot does not start: .*",
            r"E   .*the bot declines alice's invite; see access\.users in its config",
            r"E   .*the bot was stopped; start it again: await bot\.restart\(\)",
        ]
    )


DYING = """
import os
from strandline import Event, Flow, State, on

class Dying(Flow):
    idle = State(initial=True)
    die = Event(idle, idle, command="die")

    @on(die)
    def end(self, _turn, _data):
        os._exit(7)
"""


def test_a_bot_that_ends_by_itself_is_no_long_wait(project: pytest.Pytester) -> None:
    project.makepyfile(dying=DYING)

    result = run(
        project,
        """
        import pytest

        @pytest.mark.strandline(flows=["dying:Dying"])
        async def test_a_death(alice):
            await alice.say("!die")
            await alice.sees("Farewell", within_seconds=36_000)
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        [r"E .*the bot ended by itself, with exit code 7; its last words:"]
    )


LASTING = """
import asyncio
import os
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(4))
async def test_that_takes_a_while(synapse, bot, alice, number):
    await alice.say("Hello!")
    await alice.sees("Hello!")
    note = Path(os.environ["NOTES"], f"{os.getpid()}-{number}")
    note.write_text(f"{synapse.pid} {bot.pid} {synapse.directory}")
    await asyncio.sleep(float(os.environ["LASTS"]))
"""


def test_workers_of_xdist_have_a_homeserver_each_and_leave_nothing(
    project: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTES", str(tmp_path))
    monkeypatch.setenv("LASTS", "0")

    result = run(project, LASTING, "-n", "2")

    result.assert_outcomes(passed=4)
    notes = [note.read_text().split() for note in tmp_path.iterdir()]
    assert len({synapse for synapse, _, _ in notes}) == 2
    assert len({bot for _, bot, _ in notes}) == 4
    assert not any(is_running(pid) for note in notes for pid in note[:2])
    assert not any(Path(directory).exists() for _, _, directory in notes)


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one process", "xdist"])
async def test_ctrl_c_stops_all_that_was_started(
    project: pytest.Pytester, tmp_path: Path, options: list[str]
) -> None:
    project.makepyfile(test_watch=LASTING)
    environment = {**os.environ, "NOTES": str(tmp_path), "LASTS": "36000"}

    with started(project, options, environment) as process:
        async with asyncio.timeout(HANGS_SECONDS):
            while not any(tmp_path.iterdir()):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        async with asyncio.timeout(HANGS_SECONDS):
            while process.poll() is None:
                await asyncio.sleep(0.05)

    notes = [note.read_text().split() for note in tmp_path.iterdir()]
    async with asyncio.timeout(HANGS_SECONDS):
        while any(is_running(pid) for note in notes for pid in note[:2]):
            await asyncio.sleep(0.05)
    assert not any(Path(directory).exists() for _, _, directory in notes)


@contextmanager
def started(
    project: pytest.Pytester, options: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "pytest", *options],
        cwd=project.path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # what runs in the background may ignore it, and hands that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_the_examples_of_the_reference_run(pytester: pytest.Pytester) -> None:
    page = Path(__file__).parents[4] / "docs/reference/testing.md"
    files = re.findall(r"```python\n# (\S+)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    for name, text in files:
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    result = pytester.runpytest_subprocess("-W", "ignore")

    tests = sum(text.count("async def test_") for _, text in files)
    result.assert_outcomes(passed=tests)
    assert tests > 5
