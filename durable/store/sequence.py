"""Issues platform chat numbers, each once, in the transaction of the turn that uses the number."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from attrs import frozen

from durable.records import IssuedNumber
from durable.store.codec import to_json
from durable.store.contract import Store
from durable.store.values import Commit
from fsm.records import PLATFORM_CHAT_SEQ_KEY
from fsm.values.ids import PlatformChatId


@frozen(kw_only=True)
class Allocation:
    """A platform chat number that a later commit issues; if that commit fails, it stays free.

    Args:
        platform_chat_id: The number.
        expected: For ``Commit.expected``: the stored text of the last issued number, by key.
        writes: For ``Commit.writes``: the new text, by key.
    """

    platform_chat_id: PlatformChatId
    expected: Mapping[str, str | None]
    writes: Mapping[str, str | None]


class PlatformChatSequence:
    """Issues platform chat numbers, which strictly increase over the life of the database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def next(self) -> AsyncIterator[Allocation]:
        """Return a context manager that yields the next number.

        Leave the context after the commit with the number has ended. Until then, other callers wait
        for their number.
        """
        async with self._turn:
            stored = await self._store.read(IssuedNumber, PLATFORM_CHAT_SEQ_KEY)
            last = stored.value.number if stored.value else 0
            number = max(last, await self._store.highest_issued()) + 1
            yield Allocation(
                platform_chat_id=PlatformChatId(str(number)),
                expected={PLATFORM_CHAT_SEQ_KEY: stored.text},
                writes={PLATFORM_CHAT_SEQ_KEY: to_json(IssuedNumber(number))},
            )

    async def allocate(self) -> PlatformChatId:
        """Issue a number in a transaction of its own, and return it."""
        async with self.next() as allocation:
            await self._store.commit(Commit(expected=allocation.expected, writes=allocation.writes))
            return allocation.platform_chat_id
