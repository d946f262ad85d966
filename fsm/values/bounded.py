"""A dict with a maximum size."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(MutableMapping[K, V]):
    """A dict that drops its oldest key when a new key would exceed the limit.

    Writing to a key makes it the newest key. Reading a key does not.

    Args:
        limit: Maximum number of keys.
        on_drop: Called with the value of each key that is dropped because of the limit; returns
            nothing. A key that is deleted or overwritten is not dropped.
    """

    def __init__(self, limit: int, *, on_drop: Callable[[V], None] = lambda _: None) -> None:
        self._limit = limit
        self._on_drop = on_drop
        self._values: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._values.pop(key, None)
        self._values[key] = value
        if len(self._values) > self._limit:
            self._on_drop(self._values.pop(next(iter(self._values))))

    def __delitem__(self, key: K) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
