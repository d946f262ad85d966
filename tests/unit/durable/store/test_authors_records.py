"""Records of classes that authors write: what comes back as it was, and what is told not to."""

import enum
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from attrs import field, frozen

from durable.store.codec import from_json, to_json, why_not_storable
from durable.store.errors import CorruptValue

T = TypeVar("T")
Number = NewType("Number", int)


class Colour(enum.Enum):
    RED = 1


class Size(enum.StrEnum):
    LARGE = "large"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Ratio(float, enum.Enum):
    HALF = 0.5


class May(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Bits(enum.IntFlag):
    ONE = 1
    TWO = 2


class Corner(enum.Enum):
    """Its values have no form in JSON from which they come back."""

    TOP = (0, 1)
    LEFT = (0, 0)
    RIGHT = [1, 1]  # noqa: RUF012  # a member, whose value has no hash
    BOTTOM = {"x": 0}  # noqa: RUF012
    CENTRE = "centre"


class When(enum.Enum):
    NEVER = None
    NOON = time(12)


class Mixed(enum.Enum):
    WORD = "1"
    NUMBER = 1


BERLIN = ZoneInfo("Europe/Berlin")
AN_ID = UUID("12345678-1234-5678-1234-567812345678")


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
        (UUID, AN_ID),
        (Decimal, Decimal("1.10")),
        (Decimal | None, None),
        (time, time(12, 30, 1, 5)),
        (time, time(12, 30, tzinfo=UTC)),
        (timedelta, timedelta(days=-1, microseconds=3)),
        (ZoneInfo, BERLIN),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001  # as people have them
        (datetime, datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN)),
        (list[tuple[int, UUID]], [(1, AN_ID)]),
        (Level, Level.HIGH),
        (Ratio, Ratio.HALF),
        (May, May.READ | May.WRITE),
        (May, May(0)),
        (Bits, Bits.ONE | Bits.TWO),
        (Corner, Corner.LEFT),
        (When | None, When.NEVER),
        (When, When.NOON),
        (Mixed, Mixed.NUMBER),
        (Literal[Colour.RED, "a"], Colour.RED),
        (dict[Colour, Line], {Colour.RED: Line()}),
        (Mapping[Level, int], {Level.LOW: 1}),
        (dict[May, int], {May.READ | May.WRITE: 1}),
        (dict[Corner, int], {Corner.TOP: 1}),
        (dict[UUID, Decimal], {AN_ID: Decimal("0.1")}),
        (dict[Decimal, time], {Decimal("0.10"): time(1)}),
        (dict[datetime, int], {datetime(2026, 1, 2, tzinfo=BERLIN): 1}),
        (dict[ZoneInfo, int], {BERLIN: 1}),
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

    assert why_not_storable(cls) is None
    back = from_json(cls, to_json(record))
    assert back == record
    assert repr(back) == repr(record) or kind is float


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
        (complex | None, "Order.field: complex: it can't be read back"),
        (list[tuple[int, Plain]], "Order.field: Plain: it can't be read back"),
        (Lost, "Lost: name 'Nowhere' is not defined"),
        (Callable[[int], str], "it was is not saved"),
        (dict[tuple[int, int], str], "under keys of tuple[int, int] can't be found again"),
        (Counter[int], "under keys of int can't be found again"),
        (Line | Twin, "which of them it was is not saved"),
    ],
)
def test_what_can_not_come_back_is_told_with_its_field(kind: Any, expected: str) -> None:
    problem = why_not_storable(a_class(kind))

    assert problem is not None
    assert expected in problem


def test_a_moment_keeps_its_time_zone_over_the_end_of_summer_time() -> None:
    cls = a_class(datetime)
    moment = datetime(2026, 10, 24, 12, tzinfo=BERLIN)

    back = from_json(cls, to_json(cls(moment))).field

    assert to_json(cls(moment)) == '{"field":"2026-10-24T12:00:00+02:00[Europe/Berlin]"}'
    assert (back + timedelta(days=1)).utcoffset() == timedelta(hours=1)


@pytest.mark.parametrize(
    ("kind", "stored", "value"),
    [
        (Colour, "1", Colour.RED),
        (Size, '"large"', Size.LARGE),
        (Level, "2", Level.HIGH),
        (dict[Size, int], '{"large":1}', {Size.LARGE: 1}),
        (datetime, '"2026-01-02T00:00:00+00:00"', datetime(2026, 1, 2, tzinfo=UTC)),
        (date, '"2026-01-02"', date(2026, 1, 2)),
    ],
)
def test_what_earlier_versions_have_written_is_read_and_written_as_before(
    kind: Any, stored: str, value: object
) -> None:
    cls = a_class(kind)

    assert from_json(cls, f'{{"field":{stored}}}') == cls(value)
    assert to_json(cls(value)) == f'{{"field":{stored}}}'


@pytest.mark.parametrize(
    ("kind", "stored", "value"),
    [
        (When, "null", When.NEVER),
        (Corner, '"centre"', Corner.CENTRE),
        (Corner, "[1,1]", Corner.RIGHT),
        (Corner, '{"x":0}', Corner.BOTTOM),
        (Corner | None, '"centre"', Corner.CENTRE),
        (dict[Corner, int], '{"centre":1}', {Corner.CENTRE: 1}),
    ],
)
def test_a_member_is_read_from_the_value_that_earlier_versions_have_written(
    kind: Any, stored: str, value: object
) -> None:
    cls = a_class(kind)

    assert from_json(cls, f'{{"field":{stored}}}') == cls(value)


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (UUID, "7"),
        (UUID, '"x"'),
        (Decimal, '"one"'),
        (Decimal, "1.5"),
        (time, '"25:00"'),
        (timedelta, "1.5"),
        (timedelta, "true"),
        (ZoneInfo, '"Nowhere/At_All"'),
        (datetime, '"2026-01-02T00:00:00+00:00[Nowhere/At_All]"'),
        (Colour, "2"),
        (Colour, "true"),
        (Corner, '"MIDDLE"'),
        (Corner, "[0,1]"),
        (Corner, "[2,2]"),
        (Corner, '{"x":1}'),
        (May, '"READ"'),
        (dict[Level, int], '{"3":1}'),
        (dict[Level, int], '{"x":1}'),
    ],
)
def test_what_is_no_such_value_is_told(kind: Any, stored: str) -> None:
    with pytest.raises(CorruptValue):
        from_json(a_class(kind), f'{{"field":{stored}}}')
