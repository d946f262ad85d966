# ruff: noqa: E501  # a table reads best with a case on each line
import re
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fsm.values.ids import UserId
from strandline.config.errors import ConfigError
from strandline.config.matrix_settings import homeserver_settings
from strandline.config.model import Config, load_config

GOOD = """\
homeserver:
  url: https://matrix.example.org
  user_id: "@bot:example.org"
  password: hunter2
agents:
  - id: agent-1
    kind: echo
"""

NINE_TIMES = [f"{c}: &{c} [{', '.join([f'*{before}'] * 9)}]" for before, c in pairwise("abcdefghi")]
NINES = f"{{a: &a [x], {', '.join(NINE_TIMES)}}}"


def load(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environment or {})


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]


def test_a_small_config_has_safe_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)

    assert config.commands.prefix == "!"
    assert config.is_allowed("@alice:example.org")  # type: ignore[arg-type]
    assert not config.is_allowed("@alice:evil.org")  # type: ignore[arg-type]
    assert config.storage.database == tmp_path / "data" / "lambda_matrix.db"
    assert [entry.name for entry in config.registry_entries()] == ["agent-1"]


@pytest.mark.parametrize(
    ("found", "replaced", "expected"),
    [
        ("url: https://matrix.example.org", "url: matrix", "config.yaml:2: homeserver.url: 'matrix' is no URL; write"),
        ('"@bot:example.org"', "bot", "config.yaml:3: homeserver.user_id: 'bot' is no Matrix id; write"),
        ("agents:", "log: {colour: }\nagents:", "config.yaml:5: log.colour: unknown key; known here: format, level"),
        ("password", "pasword", "config.yaml:4: homeserver.pasword: unknown key; did you mean 'password'?"),
        ("  password: hunter2\n", "", "config.yaml:1: homeserver: password or access_token: neither is given; give"),
        ("hunter2", "a\n  access_token: b", "config.yaml:1: homeserver: password or access_token: both are given; give"),
        ("https://matrix.example.org", "https://h:99999", "config.yaml:2: homeserver.url: 'https://h:99999' is no URL; write"),
        ("https://matrix.example.org", '"http://[::1"', "config.yaml:2: homeserver.url: 'http://[::1' is no URL; write"),
        ("agents:", "limits: {held_seconds: .inf}\nagents:", "config.yaml:5: limits.held_seconds: must be more than 0 and at most 1000000000"),
        ("agents:", "limits: {held_seconds: .nan}\nagents:", "config.yaml:5: limits.held_seconds: must be more than 0"),
        ("agents:", "limits: {stop_seconds: 2001-13-01}\nagents:", "config.yaml:5: limits.stop_seconds: this value can't be read as YAML; put"),
        ("agents:", "log:\n- level: info\nagents:", "config.yaml:5: log: a mapping of keys is expected here, not a list"),
        ("agents:", "log: loud\nagents:", "config.yaml:5: log: a mapping of keys is expected here, not a single value"),
        ("agents:", "log: {level:info}\nagents:", "config.yaml:5: log.level: unknown key; put a space after the colon"),
        ("https://matrix.example.org", "https://a b", "config.yaml:2: homeserver.url: 'https://a b' is no URL; write"),
        ("https://matrix.example.org", "https://h?x=1", "config.yaml:2: homeserver.url: 'https://h?…' is no URL; write"),
        ("https://matrix.example.org", "https://u:p@h", "config.yaml:2: homeserver.url: a name or password in a URL would be logged; give"),
        ("agents:", "access: {users: ['@alice']}\nagents:", "config.yaml:5: access.users[0]: '@alice' matches no Matrix id; write"),
        ("agents:", 'storage: {data_dir: "a\\0"}\nagents:', "config.yaml:5: storage.data_dir: this holds a character that is no text; take it out"),
        ("agents:", "? [a]\n: 1\nagents:", "config.yaml:5: a key must be one word; write KEY: VALUE"),
        ("agents:", "---\nagents:", "config.yaml:5: is not valid YAML: there is a second document after ---; keep one"),
        ("agents:", f"limits: {{edit_seconds: 1{'0' * 400}}}\nagents:", "config.yaml:5: limits.edit_seconds: is larger than any number here can be; write"),
        ("kind: echo", "kind: echo\n    options:", "config.yaml:8: agents[0].options: a mapping of keys is expected here, not nothing"),
        ("kind: echo", "kind: echo\n    options: {chunk_seconds: -1}", "config.yaml:8: agents[0].options.chunk_seconds: must be at least 0"),
        ("kind: echo", "kind: echo\n    options: {delay_seconds: .nan}", "config.yaml:8: agents[0].options.delay_seconds: must be at least 0"),
        ("hunter2", "!hunter2", "config.yaml:4: homeserver.password: this value can't be read as YAML; put it in quotes"),
        ("hunter2", "*hunter2", "config.yaml:4: is not valid YAML: * and & refer to other values here; put"),
        ('  user_id: "@bot:example.org"\n', "", "config.yaml:1: homeserver.user_id: is missing; add it"),
        ("kind: echo", "kind: ecko", "config.yaml:7: agents[0].kind: 'ecko' is none of echo, "),
        ("kind: echo", "kind: echo\n  - id: \uff21gent-1\n    kind: echo", "config.yaml:8: agents[1].id: there is an agent '\uff21gent-1' already; give"),
        ("kind: echo", "kind: echo\n  - id: AGENT-1\n    kind: echo", "config.yaml:8: agents[1].id: there is an agent 'AGENT-1' already; give"),
        ("kind: echo", "kind: echo\n    options: {chunk: 2}", "config.yaml:8: agents[0].options.chunk: unknown key; did you mean 'chunks'?"),
        ("kind: echo", "kind: http", "config.yaml:6: agents[0].options.url: is missing; add it"),
        ("kind: echo", "kind: http\n    options: {url: here}", "config.yaml:8: agents[0].options.url: 'here' is no URL; write"),
        ("kind: echo", "kind: http\n    options: {url: 'https://u:p@h'}", "config.yaml:8: agents[0].options.url: a name or password in a URL would be logged; give"),
        ("kind: echo", "kind: echo\n    at_a_time: 0", "config.yaml:8: agents[0].at_a_time: must be at least 1"),
        ("kind: echo", "kind: echo\n    first_seconds: 0", "config.yaml:8: agents[0].first_seconds: must be more than 0"),
        ("agents:", "replies: {while_answering: jion}\nagents:", "config.yaml:5: replies.while_answering: 'jion' is none of wait, join; did"),
        ("id: agent-1", "id: my agent", "config.yaml:6: agents[0].id: 'my agent' can't be typed in a command; use"),
        ("id: agent-1", 'id: "7"', "config.yaml:6: agents[0].id: '7' reads as a number of the list; add"),
        ("agents:\n  - id: agent-1\n    kind: echo\n", "agents: []\n", "config.yaml:5: agents: there is no agent; add"),
        ("agents:\n  - id: agent-1\n    kind: echo\n", "", "config.yaml:1: agents: is missing; add it"),
        ("agents:", "limits: {stop_seconds: 0}\nagents:", "config.yaml:5: limits.stop_seconds: must be more than 0"),
        ("agents:", "limits: {queued_events: 0}\nagents:", "config.yaml:5: limits.queued_events: must be at least 1"),
        ("agents:", "limits: {queued_events: 1.5}\nagents:", "config.yaml:5: limits.queued_events: a whole number is expected here, not 1.5"),
        ("agents:", "commands: {prefix: b}\nagents:", "config.yaml:5: commands.prefix: 'b' can't begin a command; use"),
        ("agents:", "replies: {language: rus}\nagents:", "config.yaml:5: replies.language: 'rus' is none of en, ru; did you mean 'ru'?"),
        ("agents:", "replies: {message_type: m.emote}\nagents:", "config.yaml:5: replies.message_type: 'm.emote' is none of m.text, m.notice"),
        ("agents:", "log: {format: xml}\nagents:", "config.yaml:5: log.format: 'xml' is none of console, json"),
        ("agents:", "access: {users: [alice]}\nagents:", "config.yaml:5: access.users[0]: 'alice' matches no Matrix id; write"),
        ("agents:", "access: {users: alice}\nagents:", "config.yaml:5: access.users: a list is expected here, not 'alice'"),
        ("agents:", "agents: []\nagents:", "config.yaml:6: agents: duplicate key; remove one"),
        ("agents:", "x: [\nagents:", "config.yaml:7: is not valid YAML:"),
        ("hunter2", "12345", "config.yaml:4: homeserver.password: text is expected here; put it in quotes"),
        ("hunter2", "a${NAME", "config.yaml:4: homeserver.password: '${' has no '}'; write ${NAME}, or $${"),
        ("hunter2", "${NO_SUCH}", "config.yaml:4: homeserver.password: the environment variable 'NO_SUCH' is not set; set it"),
    ],
)  # fmt: skip
def test_a_problem_is_named_with_line_key_and_remedy(
    tmp_path: Path, found: str, replaced: str, expected: str
) -> None:
    assert found in GOOD

    lines = problems(tmp_path, GOOD.replace(found, replaced, 1))

    assert any(line.startswith(expected) for line in lines), lines


def test_all_problems_are_named_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "homeserver: {url: 3, user_id: 4, password: '${A}'}\nagents: 5\nlog: {levle: info}\n"

    lines = problems(tmp_path, text)

    assert [line.split(": ")[0] for line in lines] == [f"config.yaml:{n}" for n in (1, 1, 1, 2, 3)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "just words",
        "\x00",
        "a: *nowhere",
        "a: !!python/x b",
        "a: &a [*a]",
        "[" * 2000,
        NINES,
    ],
    ids=["empty", "list", "text", "zero", "alias", "tag", "endless", "deep", "nine to the ninth"],
)
def test_what_is_no_config_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    assert all(line.startswith("config.yaml:1: ") for line in problems(tmp_path, text))


@given(
    st.lists(
        st.sampled_from([*"abc[]{}:,-#&*!|>'\"?%@`~<=\n 01.", *GOOD.splitlines(keepends=True)])
    ),
    st.integers(0, len(GOOD)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_raises_anything_but_a_config_error(
    tmp_path: Path, pieces: list[str], at: int
) -> None:
    with suppress(ConfigError):
        load(tmp_path, GOOD[:at] + "".join(pieces) + GOOD[at:])


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't be read .No such file"):
        load_config(tmp_path / "config.yaml", {})
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "config.yaml", {})


def test_environment_variables_are_filled_in_and_can_be_escaped(tmp_path: Path) -> None:
    text = GOOD.replace("hunter2", '"${A}-$${A}-$5"')

    assert load(tmp_path, text, {"A": "x"}).homeserver.password == "x-${A}-$5"


def test_relative_paths_are_relative_to_the_config_and_others_stay(tmp_path: Path) -> None:
    beside = load(tmp_path, f"{GOOD}storage: {{data_dir: ../state}}")
    elsewhere = load(tmp_path, f"{GOOD}storage: {{data_dir: /srv/bot}}")

    assert beside.storage.data_dir == tmp_path / ".." / "state"
    assert elsewhere.storage.matrix_store == Path("/srv/bot/matrix_store")


def test_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    with_password = load(tmp_path, GOOD)
    with_token = load(tmp_path, GOOD.replace("password", "access_token"))

    for config in (with_password, with_token):
        assert "hunter2" not in repr(config)
        assert "hunter2" not in repr(homeserver_settings(config.homeserver))


@pytest.mark.parametrize(
    "broken",
    [
        "password: [hunter2]",
        "access_token: {hunter2: 1}",
        "password: !hunter2",
        "password: !!int hunter2",
        "password: *hunter2",
        "password: &hunter2",
        "password: 'hunter2",
        "password: !hunter2!x y",
        "? {password: hunter2}\n  : 1",
        "url: https://bot:hunter2@matrix.example.org",
        "pasword: hunter2",
        "password: 1234567",
        "access_token: 1234567",
        "url: https://matrix example.org?key=hunter2",
    ],
)
def test_a_secret_that_cannot_be_read_is_not_quoted(tmp_path: Path, broken: str) -> None:
    lines = problems(tmp_path, GOOD.replace("password: hunter2", broken))

    assert "hunter2" not in "".join(lines)
    assert "1234567" not in "".join(lines)


@pytest.mark.parametrize(
    "options",
    [
        "{url: 'https://a.example', model: m, token: 1234567}",
        "{url: 'https://a.example', model: m, token: [1234567]}",
        "{url: 'https://a.example', model: m, headers: {X-Key: 1234567}}",
        "{url: 'ftp://a.example?key=1234567', model: m}",
    ],
)
def test_a_secret_of_an_agent_is_not_quoted(tmp_path: Path, options: str) -> None:
    agent = f"kind: openai\n    options: {options}"

    lines = problems(tmp_path, GOOD.replace("kind: echo", agent))

    assert len(lines) == 1
    assert "agents[0].options" in lines[0]
    assert "1234567" not in lines[0]


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("http", r'token: "hunter2\n"', "options.token: can't be sent in a header"),
        ("a2a", "token: пароль-hunter2", "options.token: can't be sent in a header"),
        ("openai", 'model: m, token: "hunter2 "', "options.token: can't be sent in a header"),
        (
            "openai",
            r'model: m, headers: {X-Key: "a\rhunter2"}',
            "headers.X-Key: can't be sent in a header",
        ),
        (
            "openai",
            r'model: m, headers: {"X Key": hunter2}',
            "headers.X Key: is no name of a header",
        ),
    ],
)
def test_what_no_header_can_hold_is_refused_and_not_quoted(
    tmp_path: Path, kind: str, options: str, expected: str
) -> None:
    agent = f"kind: {kind}\n    options: {{url: 'https://a.example', {options}}}"

    lines = problems(tmp_path, GOOD.replace("kind: echo", agent))

    assert len(lines) == 1
    assert expected in lines[0]
    assert "hunter2" not in lines[0]


def test_an_access_token_that_no_header_can_hold_is_refused(tmp_path: Path) -> None:
    lines = problems(tmp_path, GOOD.replace("password: hunter2", r'access_token: "hunter2\n"'))

    assert lines[0].startswith("config.yaml:4: homeserver.access_token: can't be sent in a header")


@pytest.mark.parametrize("kind", ["a2a", "openai"])
def test_an_address_to_which_paths_are_added_has_no_query(tmp_path: Path, kind: str) -> None:
    model = "model: m, " if kind == "openai" else ""
    agent = f"kind: {kind}\n    options: {{{model}url: 'https://a.example/v1?key=hunter2'}}"

    lines = problems(tmp_path, GOOD.replace("kind: echo", agent))

    assert "agents[0].options: url: paths are added to it" in lines[0]
    assert "hunter2" not in lines[0]


@pytest.mark.parametrize("section", ["[{password: hunter2}]", "{password:hunter2}", "hunter2"])
def test_a_section_of_the_wrong_shape_is_not_quoted(tmp_path: Path, section: str) -> None:
    agents = GOOD[GOOD.index("agents:") :]

    lines = problems(tmp_path, f"homeserver: {section}\n{agents}")

    assert "hunter2" not in "".join(lines)


def test_what_the_environment_has_is_not_quoted(tmp_path: Path) -> None:
    text = GOOD.replace("https://matrix.example.org", '"${A}"').replace(
        "kind: echo", 'kind: "a${A}"'
    )
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "shape.yaml").write_text(f"{GOOD}access: {{users: '${{A}}'}}")

    for name, expected in [
        ("config.yaml", "homeserver.url: '${A}' is no URL"),
        ("config.yaml", "agents[0].kind: 'a${A}' is none of echo"),
        ("shape.yaml", "access.users: a list is expected here, not '${A}'"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(expected)) as caught:
            load_config(tmp_path / name, {"A": "hunter2" * 20})
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["@*:[2001:db8::1]:8448", "@alice:[2001:db8::1]:8448", None])
def test_a_server_that_is_an_ipv6_address_counts_in_access_patterns(
    tmp_path: Path, pattern: str | None
) -> None:
    access = "" if pattern is None else f'access: {{users: ["{pattern}"]}}\n'
    text = GOOD.replace("@bot:example.org", "@bot:[2001:db8::1]:8448") + access
    config = load(tmp_path, text)

    assert config.is_allowed(UserId("@alice:[2001:db8::1]:8448"))
    assert not config.is_allowed(UserId("@alice:2"))


def test_nothing_but_a_star_stands_for_other_text(tmp_path: Path) -> None:
    config = load(
        tmp_path, f'{GOOD}access: {{users: ["@who?:example.org", "@[ab]*:example.org"]}}\n'
    )

    allowed = ["@who?:example.org", "@[ab]c:example.org"]
    others = ["@whom:example.org", "@a:example.org"]
    assert [user for user in allowed + others if config.is_allowed(UserId(user))] == allowed
