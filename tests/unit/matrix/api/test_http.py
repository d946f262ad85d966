import asyncio
from collections.abc import AsyncIterator

import pytest
from attrs import evolve
from structlog.testing import capture_logs

from fsm.values.retry import RetryPolicy
from matrix.api.errors import (
    MatrixError,
    RateLimited,
    Refused,
    TokenRevoked,
    Unreachable,
    is_permanent,
)
from matrix.api.http import HomeserverHttp, endpoint
from matrix.api.retry import retry_request
from tests.support.fakes.homeserver import Answer, ScriptedHomeserver

WHOAMI = endpoint("account", "whoami")
REFUSED = {"errcode": "M_FORBIDDEN", "error": "You are not invited."}
HTML = b"<html><h1>502 Bad Gateway</h1></html>"


@pytest.fixture
async def http(server: ScriptedHomeserver) -> AsyncIterator[HomeserverHttp]:
    http = HomeserverHttp(server.url)
    http.token = server.token
    yield http
    await http.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(502, HTML), Unreachable),
        (Answer(404, HTML), Unreachable),
        (Answer(200, HTML), Unreachable),
        (Answer(200, b"[]"), Unreachable),
        (Answer(200, b"[" * 100_000), Unreachable),
        (Answer(200, b'{"a": "\xff"}'), Unreachable),
        (Answer(302, b"", {"Location": "https://elsewhere"}), Unreachable),
        (Answer(500, {"errcode": "M_UNKNOWN", "error": "oops"}), Unreachable),
        (Answer(403, {"errcode": "M_RESOURCE_LIMIT_EXCEEDED", "error": "full"}), Unreachable),
        (Answer(200, {"a": "b" * 1000}, fault="truncate"), Unreachable),
        (Answer(fault="reset"), Unreachable),
        (Answer(429, HTML), RateLimited),
        (Answer(403, REFUSED), Refused),
        (Answer(413, HTML), Refused),
        (Answer(414, HTML), Refused),
        (Answer(431, b""), Refused),
        (Answer(404, {"errcode": []}), Unreachable),
        (Answer(401, {"errcode": "M_UNKNOWN_TOKEN", "error": "gone"}), TokenRevoked),
    ],
)
async def test_each_failure_says_whether_to_try_again(
    server: ScriptedHomeserver, http: HomeserverHttp, answer: Answer, expected: type[MatrixError]
) -> None:
    # Twice, since aiohttp itself tries once more when a connection is reset.
    await server.script("account.whoami", answer, answer)

    with pytest.raises(MatrixError) as failure:
        await http.request("GET", WHOAMI)

    assert type(failure.value) is expected
    assert is_permanent(failure.value) == (expected is Refused)


@pytest.mark.parametrize(
    ("body", "headers", "expected_ms"),
    [
        ({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 70}, {"Retry-After": "9"}, 70),
        ({"errcode": "M_LIMIT_EXCEEDED"}, {"Retry-After": "9"}, 9000),
        ({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": "soon"}, {}, 1000),
        ({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": []}, {"Retry-After": "2"}, 2000),
        ({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 70.5}, {}, 70),
        ({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": -1}, {}, 1000),
        ({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2**52}, {}, 300_000),
        ({"errcode": "M_LIMIT_EXCEEDED"}, {"Retry-After": "9" * 5000}, 300_000),
        ({"errcode": "M_LIMIT_EXCEEDED"}, {"Retry-After": "tomorrow"}, 1000),
        ({"errcode": "M_LIMIT_EXCEEDED"}, {"Retry-After": "Mon, 23 Nov 2020 12:00 GMT"}, 0),
        ({"errcode": "M_LIMIT_EXCEEDED"}, {"Retry-After": "Mon, 23 Nov 2126 12:00 GMT"}, 300_000),
    ],
)
async def test_a_rate_limit_says_how_long_to_wait(
    server: ScriptedHomeserver,
    http: HomeserverHttp,
    body: dict[str, object],
    headers: dict[str, str],
    expected_ms: int,
) -> None:
    await server.script("account.whoami", Answer(429, body, headers))

    with pytest.raises(RateLimited) as failure:
        await http.request("GET", WHOAMI)

    assert failure.value.retry_after_ms == expected_ms


async def test_nothing_listens() -> None:
    http = HomeserverHttp("http://127.0.0.1:9/")

    with pytest.raises(Unreachable, match=r"check homeserver\.url"):
        await http.request("GET", WHOAMI)

    await http.close()


async def test_a_homeserver_that_does_not_answer_is_not_waited_for(
    server: ScriptedHomeserver, http: HomeserverHttp
) -> None:
    with pytest.raises(Unreachable, match="no answer within"):
        await http.request("GET", endpoint("sync"), timeout_seconds=0.05)

    assert server.asked("sync")


async def test_it_is_tried_until_it_works_and_the_log_says_so_once(
    server: ScriptedHomeserver, http: HomeserverHttp
) -> None:
    broken = [Answer(502, HTML), Answer(fault="reset"), Answer(429, {"retry_after_ms": 1})]
    await server.script("account.whoami", *broken)

    with capture_logs() as logs:
        policy = RetryPolicy(first_wait_seconds=0.001, max_wait_seconds=15.0)
        answer = await retry_request(lambda: http.request("GET", WHOAMI), policy)

    assert answer["device_id"] == "DEVICE"
    assert [entry["event"] for entry in logs] == [
        "homeserver lost, trying again until it is back",
        "homeserver is back",
    ]


async def test_patience_ends_when_it_is_bounded(
    server: ScriptedHomeserver, http: HomeserverHttp
) -> None:
    await server.script("account.whoami", *[Answer(502, HTML)] * 1000)
    tries = []

    quick = RetryPolicy(first_wait_seconds=0.001, max_wait_seconds=0.01)
    for policy in (evolve(quick, max_attempts=4), evolve(quick, max_seconds=0.1)):
        with pytest.raises(Unreachable):
            await retry_request(lambda: http.request("GET", WHOAMI), policy)
        tries.append(len(server.asked("account.whoami")))

    assert tries[0] == 4
    assert tries[1] > 4


async def test_a_refusal_is_not_tried_again(
    server: ScriptedHomeserver, http: HomeserverHttp
) -> None:
    await server.script("account.whoami", Answer(403, REFUSED))

    with pytest.raises(Refused):
        await retry_request(lambda: http.request("GET", WHOAMI))

    assert len(server.asked("account.whoami")) == 1


async def test_a_revoked_token_is_renewed_once_for_all_requests(
    server: ScriptedHomeserver, http: HomeserverHttp
) -> None:
    renewals = []

    async def renew() -> str:
        renewals.append(1)
        await asyncio.sleep(0)
        server.token = "fresh"
        return "fresh"

    http.renew = renew
    server.token = "unknown to the client"

    await asyncio.gather(*(http.request("GET", WHOAMI) for _ in range(10)))

    assert len(renewals) == 1
    assert {request.token for request in server.requests[-10:]} >= {"fresh"}


def test_ids_are_escaped_whole() -> None:
    assert endpoint("rooms", "!a/../b?c#d", "join").endswith("/rooms/%21a%2F..%2Fb%3Fc%23d/join")


@pytest.mark.parametrize("part", [".", ".."])
def test_a_dot_segment_names_no_other_endpoint(part: str) -> None:
    with pytest.raises(Refused, match="M_INVALID_PARAM"):
        endpoint("rooms", "!r", "state", part, "")


async def test_a_good_answer_that_was_cut_off_is_not_quoted(
    server: ScriptedHomeserver, http: HomeserverHttp
) -> None:
    """It may be the answer to a login."""
    await server.script("login", Answer(200, b'{"access_token": "syt_secret", "us'))

    with pytest.raises(Unreachable) as caught:
        await http.request("POST", endpoint("login"), body={})

    assert "syt_secret" not in str(caught.value)
    assert "no JSON" in str(caught.value)
