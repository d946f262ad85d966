from datetime import UTC, datetime

import pytest

from fsm.values.http import HttpFailure, failure_of_status, retry_after_seconds


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((401, 402, 403), HttpFailure.UNAUTHORIZED),
        ((404, 405, 408, 500, 502, 504, 301, 100, 600), HttpFailure.UNREACHABLE),
        ((409, 429, 503, 529), HttpFailure.BUSY),
        ((413, 414, 431), HttpFailure.TOO_LARGE),
        ((400, 406, 410, 418, 422, 499), HttpFailure.REJECTED),
    ],
)
def test_each_status_has_one_meaning(statuses: tuple[int, ...], expected: HttpFailure) -> None:
    assert {failure_of_status(status) for status in statuses} == {expected}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 -0000"}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Mon, 01 Jan 99999999999 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 99999999999 Jan 2026 00:00:00 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 +99999999999999"}, None),
        ({"retry-after": "Mon, 01 Jan 0001 00:00:00 +2300"}, 0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2300"}, 251_606_948_399),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "inf"}, None),
        ({"retry-after": "9" * 5000}, 9_999_999_999),
        ({}, None),
    ],
)
def test_how_long_a_server_wants_to_be_left_alone(
    headers: dict[str, str], expected: float | None
) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    assert retry_after_seconds(headers, now) == expected
