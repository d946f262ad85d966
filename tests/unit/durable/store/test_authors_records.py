"""Records of classes that authors write: what comes back as it was, and what is told not to."""

import enum
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from uuid import UUID

import pytest
from attrs import field, frozen

from durable.store.codec import from_json, to_json, why_not_kept

T = TypeVar("T")
Number = NewType("Number", int)


class Colour(enum.Enum):
    RED = 1


class Size(enum.StrEnum):
    LARGE = "large"


class Plain:
    pass


@frozen
class Line:
    what: str = ""
    count: int = 1


@frozen
class Other:
    why: str


@frozen
class Twin:
    what: str = ""


@frozen
class Pizza:
    extra: str


@frozen
class Pair(Generic[T]):
    first: T
    second: T


@frozen(auto_attribs=False)
class Untyped:
    anything = field()  # type: ignore[var-annotated]


@frozen
class Tree:
    branches: "tuple[Tree, ...]" = ()


@frozen
class Lost:
    thing: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


def a_class(kind: Any) -> Any:
    return frozen(type("Order", (), {"__annotations__": {"field": kind}}))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, "a"),
        (float, 1.5),
        (float, 3),
        (bytes, b"\x00"),
        (date, date(2026, 1, 2)),
        (datetime, datetime(2026, 1, 2, tzinfo=UTC)),
        (Path, Path("a/b")),
        (Colour, Colour.RED),
        (Literal["a", "b"], "b"),
        (Annotated[int, "a count"], 2),
        (Any, {"a": [1, None]}),
        (Line | None, Line("bread", 2)),
        (Line | Other, Other("hunger")),
        (tuple[Line, ...], (Line(), Line())),
        (frozenset[str], frozenset({"a"})),
        (Tree, Tree((Tree(), Tree((Tree(),))))),
        (dict[str, Line], {"a": Line()}),
        (dict[Size, int], {Size.LARGE: 1}),
        (dict[date, int], {date(2026, 1, 2): 1}),
        (dict[int, str], {1: "a", -2: "b"}),
        (Mapping[Number, Line], {Number(1): Line()}),
        (dict[str, dict[int, int]], {"a": {1: 2}}),
        (Counter[str], Counter("aab")),
        (dict[Literal["a", "b"], int], {"b": 1}),
        (Pair[int], Pair(1, 2)),
        (Untyped, Untyped("a")),
    ],
)
def test_what_an_author_keeps_comes_back_as_it_was(kind: Any, value: object) -> None:
    cls = a_class(kind)
    record = cls(value)

    assert why_not_kept(cls) is None
    assert from_json(cls, to_json(record)) == record


def test_a_whole_number_comes_back_as_the_float_that_the_class_says() -> None:
    cls = a_class(float)

    assert type(from_json(cls, to_json(cls(3))).field) is float


def test_a_field_of_an_author_may_be_called_extra() -> None:
    assert from_json(Pizza, to_json(Pizza("cheese"))) == Pizza("cheese")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Plain, "Order.field: Plain: it can't be read back"),
        (object, "Order.field: object: it can't be read back"),
        (timedelta, "Order.field: timedelta: it can't be read back"),
        (Decimal | None, "Order.field: Decimal: it can't be read back"),
        (list[tuple[int, UUID]], "Order.field: UUID: it can't be read back"),
        (Lost, "Lost: name 'Nowhere' is not defined"),
        (Callable[[int], str], "it was is not saved"),
        (dict[Colour, int], "under keys of Colour can't be found again"),
        (dict[tuple[int, int], str], "under keys of tuple[int, int] can't be found again"),
        (Counter[int], "under keys of int can't be found again"),
        (Line | Twin, "which of them it was is not saved"),
    ],
)
def test_what_can_not_come_back_is_told_with_its_field(kind: Any, expected: str) -> None:
    problem = why_not_kept(a_class(kind))

    assert problem is not None
    assert expected in problem
