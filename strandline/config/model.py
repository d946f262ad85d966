"""The config as one immutable value, which is read and checked once and passed as an argument.

``config.example.yaml`` explains every key.
"""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve, field, fields, frozen

from fsm import AgentEntry
from fsm.values.ids import AgentId, UserId
from fsm.values.text import compared, number_in
from strandline.config.errors import ConfigError
from strandline.config.file import ConfigFile, KeyPath, dotted, read_config_file
from strandline.config.structuring import QUOTED, Problem, nearest, shaped
from strandline.flows.discovery import (
    NotFound,
    agent_kind,
    agent_kinds,
    can_import_from,
    find_flows,
)
from strandline.flows.languages import ENGLISH, LANGUAGES

RESPOND_TO = ("owner", "mention", "everyone")
"""The values of ``rooms.respond_to``: which messages, besides commands, the bot answers.

``owner``: those of the room's owner. ``mention``: in rooms with more than two members, those that
mention the bot. ``everyone``: all.
"""

MAX_SECONDS = 1_000_000_000
"""The maximum of every duration, about 31 years. Much longer ones would overflow a date."""

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"([!-~]([ \t!-~]*[!-~])?)?")
"""Match the names and values that HTTP allows in a header (RFC 9110, 5.1 and 5.5).

Others are refused here, because the error of the HTTP client would quote them.
"""

_NO_VALUE = (
    "can't be sent in a header: only ASCII, no line breaks, no blanks at its ends; copy it again"
)


@frozen(kw_only=True)
class HomeserverSection:
    """The homeserver and the bot's account. Exactly one of password and access token is given.

    Args:
        url: The base URL of the homeserver's client-server API.
        user_id: The bot's user id.
        password: The password to log in with, or None.
        access_token: The access token of a session that exists already, or None.
        device_name: The display name of the bot's device.
    """

    url: str
    user_id: UserId
    password: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    device_name: str = "Strandline"


@frozen(kw_only=True)
class StorageSection:
    """Where the durable state is stored.

    Args:
        data_dir: The folder of the database, the login session and the encryption keys.
    """

    data_dir: Path = Path("data")

    @property
    def database(self) -> Path:
        """The path of the database."""
        return self.data_dir / "lambda_matrix.db"

    @property
    def matrix_store(self) -> Path:
        """The folder of the login session and the encryption keys."""
        return self.data_dir / "matrix_store"


@frozen(kw_only=True)
class AccessSection:
    """Who may talk to the bot.

    Args:
        users: Patterns of user ids, in which ``*`` matches any text. Empty for all users of the
            bot's own homeserver.
    """

    users: tuple[str, ...] = ()


@frozen(kw_only=True)
class CommandsSection:
    """The form of commands.

    Args:
        prefix: The characters before the name of each command.
    """

    prefix: str = "!"


@frozen(kw_only=True)
class RepliesSection:
    """The form of the bot's messages, and how the bot answers.

    Args:
        language: The code of the language for users who have not chosen one.
        message_type: ``m.text`` or ``m.notice``.
        while_answering: What to do with a user's messages that arrive while an agent answers the
            user: ``wait`` handles them afterwards, ``join`` adds them to the question, which is
            then asked again.
    """

    language: str = ENGLISH
    message_type: str = "m.text"
    while_answering: str = "wait"


@frozen(kw_only=True)
class AgentSection:
    """One agent of the registry.

    Args:
        id: The id for ``!agent`` and for the bindings of rooms.
        kind: The name of the agent kind, such as ``echo``.
        name: The display name; empty for the id.
        description: One sentence for ``!agents``; may be empty.
        first_seconds: The time limit for the first piece of an answer; None for the time limit for
            a whole answer.
        answer_seconds: The time limit for a whole answer; None for ``limits.answer_seconds``.
        at_a_time: The maximum number of concurrent questions to the agent.
        options: The settings of the agent kind, not checked yet.
    """

    id: str
    kind: str
    name: str = ""
    description: str = ""
    first_seconds: float | None = None
    answer_seconds: float | None = None
    at_a_time: int = 10
    options: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class LimitsSection:
    """Limits of time and number.

    Args:
        confirmation_seconds: How long a question or list waits for its answer.
        held_seconds: How long messages wait for the choice of an agent.
        answer_seconds: The time limit for a whole answer of an agent.
        edit_seconds: The minimum time between two edits of an answer that is being written.
        stop_seconds: How long the bot may take to finish what is in progress after SIGTERM.
        probe_seconds: The time between two probes of an agent that nobody asks.
        questions_each: The maximum number of concurrent questions of one user.
        queued_events: The maximum number of events that wait in memory.
    """

    confirmation_seconds: float = 300.0
    held_seconds: float = 600.0
    answer_seconds: float = 300.0
    edit_seconds: float = 1.0
    stop_seconds: float = 10.0
    probe_seconds: float = 60.0
    questions_each: int = 3
    queued_events: int = 1000

    @property
    def confirmation(self) -> timedelta:
        """How long a question or list waits for its answer."""
        return timedelta(seconds=self.confirmation_seconds)

    @property
    def held(self) -> timedelta:
        """How long messages wait for the choice of an agent."""
        return timedelta(seconds=self.held_seconds)


@frozen(kw_only=True)
class RoomsSection:
    """The rooms that the bot creates, and whose messages it answers.

    Args:
        onboarding: What to create for a new user: ``space`` for a Space with a first chat room, or
            ``none``.
        encrypted: Whether created chat rooms are encrypted.
        history_visibility: The ``m.room.history_visibility`` of created rooms.
        space_avatar: The ``mxc://`` URI of the avatar of created Spaces; None for no avatar.
        respond_to: One of ``RESPOND_TO``.
    """

    onboarding: str = "space"
    encrypted: bool = False
    history_visibility: str = "shared"
    space_avatar: str | None = None
    respond_to: str = "owner"


@frozen(kw_only=True)
class FilesSection:
    """Limits of staged files, for one user in one room.

    Args:
        most: The maximum number of files.
        most_bytes_each: The maximum size of one file, in bytes.
        most_bytes: The maximum size of all files together, in bytes.
        wait_seconds: How long the files wait for the message that belongs to them.
    """

    most: int = 10
    most_bytes_each: int = 20_000_000
    most_bytes: int = 50_000_000
    wait_seconds: float = 900.0


@frozen(kw_only=True)
class LogSection:
    """The level and format of the log.

    Args:
        format: ``console`` for text, or ``json``.
        level: The lowest level that is logged.
    """

    format: str = "console"
    level: str = "info"


@frozen(kw_only=True)
class Config:
    """All settings of the operator, one attribute for each section of the config file."""

    homeserver: HomeserverSection
    agents: tuple[AgentSection, ...]
    flows: tuple[str, ...] = ()
    storage: StorageSection = field(factory=StorageSection)
    access: AccessSection = field(factory=AccessSection)
    commands: CommandsSection = field(factory=CommandsSection)
    replies: RepliesSection = field(factory=RepliesSection)
    rooms: RoomsSection = field(factory=RoomsSection)
    files: FilesSection = field(factory=FilesSection)
    limits: LimitsSection = field(factory=LimitsSection)
    log: LogSection = field(factory=LogSection)

    def registry_entries(self) -> tuple[AgentEntry, ...]:
        """The agents, in the config's order."""
        return tuple(
            AgentEntry(
                id=AgentId(agent.id),
                name=agent.name or agent.id,
                kind=agent.kind,
                description=agent.description,
                first_seconds=agent.first_seconds,
                answer_seconds=agent.answer_seconds,
                at_a_time=agent.at_a_time,
                options=shaped(agent.options, agent_kind(agent.kind).Options, [], ()),
            )
            for agent in self.agents
        )

    def is_allowed(self, user_id: UserId) -> bool:
        """Whether this user may talk to the bot."""
        own_server = f"@*:{self.homeserver.user_id.partition(':')[2]}"
        patterns = self.access.users or (own_server,)
        return any(fnmatchcase(user_id, _only_stars(pattern)) for pattern in patterns)


def _only_stars(pattern: str) -> str:
    """Return the pattern for ``fnmatch`` with ``*`` as its only special character.

    Brackets are escaped because they occur in the names of IPv6 servers.
    """
    return re.sub(r"[\[?]", r"[\g<0>]", pattern)


def load_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check the config file at ``path``.

    A relative ``data_dir`` in the file is relative to the file's folder. The folder is added to
    ``sys.path``, so that modules beside the file can be imported as flows.

    Args:
        path: The config file.
        environment: The values of the variables for each ``${NAME}`` in the file.

    Raises:
        ConfigError: The config has errors. All are listed, each with file, line, key and remedy.
    """
    file = read_config_file(path, environment)
    can_import_from(path.parent.absolute())
    problems: list[Problem] = []
    config = None
    if file.value is not None or not file.problems:
        config = shaped(file.value, Config, problems, ())
    if config is not None:
        problems += _unusable(config)
    if file.problems or problems or config is None:
        raise ConfigError(_lines(file, problems))
    data_dir = (path.parent / config.storage.data_dir).absolute()
    return evolve(config, storage=evolve(config.storage, data_dir=data_dir))


def config_of(value: Mapping[str, Any]) -> Config:
    """Check the content of a config file and return it as a ``Config``.

    Args:
        value: The content: plain dicts, lists and scalars.

    Raises:
        ConfigError: The config has errors. All are listed, each with its key and remedy.
    """
    problems: list[Problem] = []
    config = shaped(value, Config, problems, ())
    if config is not None:
        problems += _unusable(config)
    if problems or config is None:
        raise ConfigError(tuple(_at(path, problem) for path, problem in problems))
    return config


def _lines(file: ConfigFile, problems: list[Problem]) -> tuple[str, ...]:
    found = [
        *file.problems,
        *((file.line_of(path), _at(path, _unfilled(file, path, p))) for path, p in problems),
    ]
    return tuple(
        f"{file.name}{f':{line}' if line else ''}: {problem}" for line, problem in sorted(found)
    )


def _unfilled(file: ConfigFile, path: KeyPath, problem: str) -> str:
    """Return the problem with ``${NAME}`` in place of its value, which may be a secret."""
    filled, text = file.filled.get(path, ("", ""))
    for quoted in (repr(filled), repr(filled)[:QUOTED]):
        problem = problem.replace(quoted, repr(text)) if filled else problem
    return problem


def _at(path: KeyPath, problem: str) -> str:
    return f"{dotted(path)}: {problem}" if path else problem


def _unusable(config: Config) -> Iterator[Problem]:
    """Yield a problem for each value that has the right type but can't be used."""
    yield from _homeserver(config.homeserver)
    yield from _agents(config.agents)
    yield from _flows(config.flows)
    prefix = config.commands.prefix
    if not prefix or any(c.isspace() or c.isalnum() for c in prefix):
        problem = f"{prefix!r} can't begin a command; use punctuation, such as !"
        yield ("commands", "prefix"), problem
    for name in ("confirmation", "held", "answer", "edit", "stop", "probe"):
        yield from _span(("limits", f"{name}_seconds"), getattr(config.limits, f"{name}_seconds"))
    yield from _rooms(config.rooms)
    yield from _span(("files", "wait_seconds"), config.files.wait_seconds)
    for name in ("most", "most_bytes_each", "most_bytes"):
        if getattr(config.files, name) < 1:
            yield ("files", name), "must be at least 1"
    for name in ("queued_events", "questions_each"):
        if getattr(config.limits, name) < 1:
            yield ("limits", name), "must be at least 1"
    yield from _one_of(("replies", "language"), config.replies.language, tuple(LANGUAGES))
    types = ("m.text", "m.notice")
    yield from _one_of(("replies", "message_type"), config.replies.message_type, types)
    meanwhile = config.replies.while_answering
    yield from _one_of(("replies", "while_answering"), meanwhile, ("wait", "join"))
    yield from _one_of(("log", "format"), config.log.format, ("console", "json"))
    yield from _one_of(("log", "level"), config.log.level, ("debug", "info", "warning", "error"))
    for number, pattern in enumerate(config.access.users):
        if not pattern.startswith(("@", "*")) or not set(pattern) & set(":*"):
            problem = f"{pattern!r} matches no Matrix id; write @NAME:SERVER, with * for any text"
            yield ("access", "users", number), problem


def _rooms(section: RoomsSection) -> Iterator[Problem]:
    yield from _one_of(("rooms", "onboarding"), section.onboarding, ("space", "none"))
    yield from _one_of(("rooms", "respond_to"), section.respond_to, RESPOND_TO)
    known = ("invited", "joined", "shared", "world_readable")
    yield from _one_of(("rooms", "history_visibility"), section.history_visibility, known)
    if section.space_avatar is not None and not section.space_avatar.startswith("mxc://"):
        problem = f"{section.space_avatar!r} is no mxc:// URI; upload the picture and copy its URI"
        yield ("rooms", "space_avatar"), problem


def _span(path: KeyPath, seconds: float) -> Iterator[Problem]:
    if not 0 < seconds <= MAX_SECONDS:
        yield path, f"must be more than 0 and at most {MAX_SECONDS} seconds"


def _homeserver(section: HomeserverSection) -> Iterator[Problem]:
    if "@" in section.url.partition("//")[2].partition("/")[0]:
        problem = "a name or password in a URL would be logged; give them as keys of their own"
        yield ("homeserver", "url"), problem
    elif not _is_url(section.url):
        yield (
            ("homeserver", "url"),
            f"{_shown(section.url)} is no URL; write https://matrix.example.org",
        )
    if not re.fullmatch(r"@[^:\s]+:\S+", section.user_id):
        problem = f"{section.user_id!r} is no Matrix id; write @NAME:SERVER"
        yield ("homeserver", "user_id"), problem
    if bool(section.password) == bool(section.access_token):
        both = "both are given" if section.password else "neither is given"
        yield ("homeserver",), f"password or access_token: {both}; give one of the two"
    if not _FIELD_VALUE.fullmatch(section.access_token or ""):
        yield ("homeserver", "access_token"), _NO_VALUE


def _shown(url: str) -> str:
    """Return a URL for an error message, without the query, which may contain a secret."""
    bare, query, _ = url.partition("?")
    return repr(bare + query + ("…" if query else ""))


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        is_plain = not url.query and not url.fragment and not re.search(r"\s", text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and is_plain
    except ValueError:  # a port above 65535, or half an IPv6 address
        return False


def _agents(agents: tuple[AgentSection, ...]) -> Iterator[Problem]:
    if not agents:
        yield ("agents",), "there is no agent; add one with id and kind"
    seen: set[str] = set()
    for number, agent in enumerate(agents):
        path: KeyPath = ("agents", number)
        if not agent.id or any(c.isspace() for c in agent.id):
            yield (*path, "id"), f"{agent.id!r} can't be typed in a command; use no spaces"
        elif number_in(agent.id) is not None:
            yield (*path, "id"), f"{agent.id!r} reads as a number of the list; add a letter"
        elif compared(agent.id) in seen:
            yield (*path, "id"), f"there is an agent {agent.id!r} already; give each its own id"
        seen.add(compared(agent.id))
        for name in ("first_seconds", "answer_seconds"):
            if (seconds := getattr(agent, name)) is not None:
                yield from _span((*path, name), seconds)
        if agent.at_a_time < 1:
            yield (*path, "at_a_time"), "must be at least 1"
        yield from _one_of((*path, "kind"), agent.kind, tuple(agent_kinds()))
        if agent.kind in agent_kinds():
            yield from _options(agent, path)


def _options(agent: AgentSection, path: KeyPath) -> Iterator[Problem]:
    try:
        kind = agent_kind(agent.kind)
    except NotFound as error:
        yield (*path, "kind"), str(error)
        return
    problems: list[Problem] = []
    options = shaped(agent.options, kind.Options, problems, (*path, "options"))
    if options is not None:
        problems += _numbers(options, (*path, "options"))
        problems += _address(getattr(options, "url", None), (*path, "options", "url"))
        problems += _headers(options, (*path, "options"))
    yield from problems


def _address(url: object, path: KeyPath) -> Iterator[Problem]:
    """Yield a problem if an agent's option ``url`` is wrong; ``url`` is None if there is none."""
    if not isinstance(url, str):
        return
    if "@" in url.partition("//")[2].partition("/")[0]:
        yield path, "a name or password in a URL would be logged; give a token instead"
    elif not _is_url(url.partition("?")[0]):
        yield path, f"{_shown(url)} is no URL; write https://agent.example.org"


def _headers(options: object, path: KeyPath) -> Iterator[Problem]:
    """Yield a problem for each option of an agent that can't be sent in a header.

    The options ``token`` and ``headers`` are checked, if the agent's kind has them.
    """
    token, headers = getattr(options, "token", None), getattr(options, "headers", None)
    if isinstance(token, str) and not _FIELD_VALUE.fullmatch(token):
        yield (*path, "token"), _NO_VALUE
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if not _FIELD_NAME.fullmatch(str(name)):
            yield (*path, "headers", name), "is no name of a header; use letters, digits and -"
        elif not _FIELD_VALUE.fullmatch(str(value)):
            yield (*path, "headers", name), _NO_VALUE


def _flows(paths: tuple[str, ...]) -> Iterator[Problem]:
    for place, problem in find_flows(paths)[1]:
        yield ("flows",) if place is None else ("flows", place), str(problem)


def _numbers(options: Any, path: KeyPath) -> Iterator[Problem]:
    """Yield a problem for each of an agent's options that is a negative or far too large number."""
    for attribute in fields(type(options)):
        value = getattr(options, attribute.name)
        if isinstance(value, int | float) and not 0 <= value <= MAX_SECONDS:
            yield (*path, attribute.name), f"must be at least 0 and at most {MAX_SECONDS}"


def _one_of(path: KeyPath, value: str, known: tuple[str, ...]) -> Iterator[Problem]:
    if value not in known:
        yield path, f"{value!r} is none of {', '.join(known)}{nearest(value, known)}"
