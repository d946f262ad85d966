"""What a power cut leaves of the files: what was synced, and any of the rest.

A name is a write to its folder: a file that was created is there for certain only once the folder
was synced, and until then may be missing whole, however often its own contents were synced. A
deleted file may be back likewise. Unsynced operations of different files reach the disk in any
order; a write reaches it sector by sector.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from attrs import define, evolve, field

from tests.crash.power.recording import Create, Delete, Operation, Sync, SyncNames, Truncate, Write

SECTOR = 512

Files = dict[str, bytes]
Pending = Sequence[Operation]
Variant = Callable[[Pending, Random], Pending]


@define
class Disk:
    """The certain part, and the operations that are under way."""

    files: dict[int, bytearray] = field(factory=dict)
    names: dict[str, int] = field(factory=dict)
    pending: list[Operation] = field(factory=list)

    def do(self, operation: Operation) -> None:
        if isinstance(operation, Sync | SyncNames):
            certain = [o for o in self.pending if _is_certain(o, operation)]
            self.pending = [o for o in self.pending if not _is_certain(o, operation)]
            for settled in certain:
                self._apply(settled)
        else:
            self.pending.append(operation)

    def after_cut(self, kept: Pending) -> Files:
        """The files, if of the pending operations just these have reached the disk."""
        there = Disk({file: bytearray(data) for file, data in self.files.items()}, {**self.names})
        for operation in kept:
            there._apply(operation)
        return {name: bytes(there.files.get(file, b"")) for name, file in there.names.items()}

    def _apply(self, operation: Operation) -> None:
        match operation:
            case Create(name, file):
                self.names[name] = file
            case Delete(name):
                self.names.pop(name, None)
            case Write(file, offset, data):
                contents = self.files.setdefault(file, bytearray())
                contents.extend(bytes(max(0, offset - len(contents))))
                contents[offset : offset + len(data)] = data
            case Truncate(file, size):
                contents = self.files.setdefault(file, bytearray())
                del contents[size:]
                contents.extend(bytes(size - len(contents)))
            case Sync() | SyncNames():
                raise AssertionError


def _is_certain(operation: Operation, sync: Sync | SyncNames) -> bool:
    if isinstance(sync, SyncNames):
        return isinstance(operation, Create | Delete)
    return isinstance(operation, Write | Truncate) and operation.file == sync.file


def dropped(_pending: Pending, _random: Random) -> Pending:
    return ()


def kept(pending: Pending, _random: Random) -> Pending:
    return pending


def prefix(pending: Pending, random: Random) -> Pending:
    return pending[: random.randint(0, len(pending))]


def torn(pending: Pending, random: Random) -> Pending:
    """All, but of the last only the sectors up to one of them."""
    if not pending:
        return ()
    sectors = list(_sectors(pending[-1]))
    return [*pending[:-1], *sectors[: random.randrange(len(sectors))]]


def subset(pending: Pending, random: Random) -> Pending:
    """Any sectors of any of them."""
    share = random.choice((0.2, 0.5, 0.9))
    sectors = [s for operation in pending for s in _sectors(operation)]
    return [s for s in sectors if random.random() < share]


UNCERTAIN: tuple[Variant, ...] = (prefix, torn, subset)


def _sectors(operation: Operation) -> Iterator[Operation]:
    if not isinstance(operation, Write):
        yield operation
        return
    begin, end = operation.offset, operation.offset + len(operation.data)
    while begin < end:
        until = min(end, (begin // SECTOR + 1) * SECTOR)
        piece = operation.data[begin - operation.offset : until - operation.offset]
        yield evolve(operation, offset=begin, data=piece)
        begin = until
