"""Sets up the bot and the users of one test, and reports what they did if the test fails."""

import asyncio
import os
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp

from fsm import Flow
from fsm.values.ids import RoomId
from strandline.testing.bot import BotProcess, config_for
from strandline.testing.errors import KitError
from strandline.testing.homeserver import Synapse
from strandline.testing.log import OUTPUT
from strandline.testing.person import Person
from strandline.testing.report import Names, log_text, state_table, transcript
from strandline.testing.user import User

FlowOrPath = type[Flow] | str
"""A flow's class, or its import path: ``"package.module:Class"``."""

AGENT = {"id": "agent-1", "name": "First agent", "kind": "echo"}
"""The agent of a bot whose config names none. This agent answers with the question's text."""


ERROR_PREFIX = "strandline: "
"""The prefix of the error messages that ``strandline run`` prints."""


class BotSetup:
    """Starts the bot of a test, creates the test's users, and kills the bot at the end.

    Args:
        synapse: The homeserver.
        directory: The directory of the bot's config, data and log.

    Attributes:
        people: The users created so far, by the names that the test gave them.
    """

    def __init__(self, synapse: Synapse, directory: Path) -> None:
        self.people: dict[str, User] = {}
        self._synapse = synapse
        self._directory = directory
        self._bot: BotProcess | None = None

    def bot(
        self,
        flows: Iterable[FlowOrPath] = (),
        configs: Iterable[Mapping[str, Any]] = (),
        *,
        rootdir: Path,
    ) -> BotProcess:
        """Start the bot, and return it when it is ready.

        Args:
            flows: The flows that the bot runs in addition to the built-in ones.
            configs: Config sections that differ from the default; later ones win.
            rootdir: A further folder in which the bot finds the modules of the flows.

        Raises:
            KitError: The bot can't start with this config or these flows.
        """
        config = config_for(
            self._synapse.url,
            self._synapse.newcomer("bot"),
            agents=[AGENT],
            # most tests need the room of the invite, and no Space around another
            rooms={"onboarding": "none"},
            log={"format": "json", "level": "debug"},
        )
        if paths := [import_path(flow) for flow in flows]:
            config["flows"] = paths
        for further in configs:
            config = merged(config, further)
        bot = BotProcess(self._directory, config, forked=True)
        bot.environment["PYTHONPATH"] = os.pathsep.join(imports(rootdir))
        with ExitStack() as undo:
            undo.callback(bot.end)
            bot.launch()
            _wait_for(bot)
            undo.pop_all()
        self._bot = bot
        return bot

    def person(self, name: str, bot: BotProcess) -> User:
        """Return the test user with this name, who talks to ``bot``; create the user if needed."""
        if name not in self.people:
            credentials = self._synapse.newcomer(name)
            person = Person(self._synapse.url, credentials, keeps_connections=False)
            self.people[name] = User(name, person, bot)
        return self.people[name]

    def end(self) -> None:
        """Kill the bot."""
        if self._bot is not None:
            self._bot.end()

    def account(self) -> list[tuple[str, str]]:
        """Report what happened in the test, in sections that each have a title and a text.

        There is a section for each room, one for the transitions and one for the log. The list is
        empty if no bot was started.
        """
        if self._bot is None:
            return []
        names = self._names(self._bot)
        sections = [
            (f"{names.short(room)} as the homeserver has it", self._transcript(user, room, names))
            for room, user in self._rooms().items()
        ]
        log = self._bot.log
        states, lines = state_table(log, names), log_text(log)
        return [*sections, ("states", states), (f"the bot's log: {self._bot.log_path}", lines)]

    def _rooms(self) -> dict[RoomId, User]:
        """Each room in which a user talked to the bot, with the first user who was there."""
        rooms: dict[RoomId, User] = {}
        for user in self.people.values():
            for room in user.rooms:
                rooms.setdefault(room, user)
        return rooms

    def _names(self, bot: BotProcess) -> Names:
        names: dict[str, str] = {bot.user_id: "bot"}
        names |= {user.user_id: user.name for user in self.people.values()}
        for room, user in self._rooms().items():
            index = user.rooms.index(room)
            names[room] = f"{user.name}'s room" + (f" {index + 1}" if index else "")
        return Names(names)

    def _transcript(self, user: User, room: RoomId, names: Names) -> str:
        loop = asyncio.new_event_loop()  # not run(): it would replace the tests' own event loop
        try:
            raw = loop.run_until_complete(user.person.raw_timeline(room))
        except (KitError, OSError, aiohttp.ClientError) as error:
            return f"can't be read: {error}"
        finally:
            loop.close()
        return transcript(raw, names)


def _wait_for(bot: BotProcess) -> None:
    """Wait until the bot is ready, in code that is not async.

    Raises:
        KitError: The bot ended before it was ready, or was not ready in time.
    """
    try:
        while not bot.is_ready():
            time.sleep(0.02)
    except KitError as error:
        complaint = _complaint(bot)
        if complaint is None:
            raise
        raise KitError(complaint) from error


def _complaint(bot: BotProcess) -> str | None:
    """Return the error that the bot printed because it can't start; None if it printed none."""
    lines = [line["event"] for line in bot.log if line["level"] == OUTPUT]
    begins = [n for n, line in enumerate(lines) if line.startswith(ERROR_PREFIX)]
    if not begins:
        return None
    problems = "\n".join(lines[begins[0] :]).removeprefix(ERROR_PREFIX)
    return f"the bot does not start: {problems}"


def import_path(flow: FlowOrPath) -> str:
    """Return the import path by which a config names a flow: ``"package.module:Class"``.

    Raises:
        KitError: Another process can't import the flow's class.
    """
    if isinstance(flow, str):
        return flow
    if "<locals>" in flow.__qualname__ or flow.__module__ == "__main__":
        what = f"the bot can't import {flow.__qualname__}: define it at the top of a module"
        raise KitError(what)
    return f"{flow.__module__}:{flow.__qualname__}"


def imports(*further: Path) -> list[str]:
    """Return the folders for a bot's ``PYTHONPATH``.

    These are the folders of this process's ``sys.path``, then the ``further`` ones. The folders of
    the standard library and of installed packages are left out.
    """
    paths = sysconfig.get_paths()
    known = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found = [str(Path(entry).absolute()) for entry in [*sys.path, *map(str, further)]]
    return [entry for entry in dict.fromkeys(found) if entry not in known]


def merged(base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of ``base`` with the values of ``other``.

    Where both have a mapping under the same key, the two mappings are merged in the same way.
    """
    result = dict(base)
    for key, value in other.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = merged(before, value)
        else:
            result[key] = value
    return result
