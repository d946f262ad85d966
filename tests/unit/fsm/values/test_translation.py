from datetime import timedelta

import pytest

from fsm.values.translation import Translator


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "1 minute"),
        (90, "90 seconds"),
        (300, "5 minutes"),
    ],
)
def test_a_duration_is_said_in_minutes_where_it_is_whole_minutes(seconds: int, said: str) -> None:
    assert Translator().duration(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [
        (0, "unknown size"),
        (1, "1 kB"),
        (1000, "1 kB"),
        (12_001, "13 kB"),
        (999_000, "999 kB"),
        (999_001, "1 MB"),
        (1_249_000, "1.2 MB"),
        (25_000_000, "25 MB"),
    ],
)
def test_a_size_is_said_in_kilobytes_or_megabytes(size_bytes: int, said: str) -> None:
    assert Translator().size(size_bytes) == said
