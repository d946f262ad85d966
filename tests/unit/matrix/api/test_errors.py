from pathlib import Path

import pytest

from fsm.errors import StrandlineError
from fsm.values.ids import RoomId, UserId
from matrix.api import errors

FACTS: list[StrandlineError] = [
    errors.Unreachable("http://hs", "no route"),
    errors.RateLimited(5000),
    errors.TokenRevoked("Unknown token"),
    errors.LoginRefused(UserId("@bot:test"), "wrong password"),
    errors.Refused(403, "M_FORBIDDEN", "not invited"),
    errors.NotEncryptable(RoomId("!r"), "not shared"),
    errors.FileCorrupted("it is not what was sent"),
    errors.StoreFailed(Path("/data/crypto.db"), "disk full"),
    errors.StoreMoved(Path("/data/crypto.db")),
    errors.SessionUnusable(Path("/data/session.json"), UserId("@a:b"), UserId("@bot:test")),
    errors.SessionFileFailed(Path("/data/session.json"), "Permission denied"),
]


def test_every_error_of_the_branch_is_here() -> None:
    branch = {error for error in vars(errors).values() if _is_leaf(error)}

    assert branch == {type(fact) for fact in FACTS}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_an_error_says_what_happened_and_what_to_do(fact: StrandlineError) -> None:
    sentence = str(fact)

    assert ";" in sentence or "," in sentence
    assert "\n" not in sentence
    assert isinstance(fact, StrandlineError)


def _is_leaf(error: object) -> bool:
    return (
        isinstance(error, type)
        and issubclass(error, StrandlineError)
        and error not in (StrandlineError, errors.MatrixError)
    )
