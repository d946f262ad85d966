import pytest

from fsm.values.bounded import BoundedDict


def test_the_oldest_key_is_dropped_for_a_new_one() -> None:
    bounded = BoundedDict[str, int](2)

    bounded["a"], bounded["b"], bounded["c"] = 1, 2, 3

    assert dict(bounded) == {"b": 2, "c": 3}
    assert len(bounded) == 2
    with pytest.raises(KeyError):
        bounded["a"]


def test_a_key_that_is_written_again_is_the_newest() -> None:
    bounded = BoundedDict[str, int](2)

    bounded["a"], bounded["b"] = 1, 2
    bounded["a"] = 10
    bounded["c"] = 3

    assert list(bounded.items()) == [("a", 10), ("c", 3)]


def test_a_key_that_is_read_keeps_its_age() -> None:
    bounded = BoundedDict[str, int](2)

    bounded["a"], bounded["b"] = 1, 2
    assert bounded["a"] == 1
    bounded["c"] = 3

    assert "a" not in bounded


def test_only_what_the_limit_drops_is_reported() -> None:
    dropped: list[int] = []
    bounded = BoundedDict[str, int](2, on_drop=dropped.append)

    bounded["a"], bounded["b"] = 1, 2
    bounded["b"] = 20
    del bounded["a"]
    bounded["c"], bounded["d"] = 3, 4

    assert dropped == [20]
    assert dict(bounded) == {"c": 3, "d": 4}
