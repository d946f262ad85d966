"""Locks by key, that exist only while somebody holds or awaits them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import define, field


@define
class _Counted:
    lock: asyncio.Lock = field(factory=asyncio.Lock)
    users: int = 0


class KeyLocks:
    """Mutual exclusion by key. Several keys are taken in sorted order, so that none deadlock."""

    def __init__(self) -> None:
        self._locks: dict[str, _Counted] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def hold(self, *keys: str) -> AsyncIterator[None]:
        """Hold all of ``keys`` while the body runs."""
        async with AsyncExitStack() as stack:
            for key in sorted(set(keys)):
                await stack.enter_async_context(self._one(key))
            yield

    @asynccontextmanager
    async def _one(self, key: str) -> AsyncIterator[None]:
        counted = self._locks.setdefault(key, _Counted())
        counted.users += 1
        try:
            async with counted.lock:
                yield
        finally:
            counted.users -= 1
            if not counted.users:
                del self._locks[key]
