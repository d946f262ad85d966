"""Server-sent events from an untrusted server: read strictly, and never more than a limit."""

from collections.abc import AsyncIterator

from attrs import frozen


@frozen
class ServerSent:
    """One event of a stream (WHATWG HTML, "Server-sent events"); ids and retries are left out."""

    event: str
    data: str


class TooMuch(Exception):
    """The stream is longer than the limit."""


async def server_sent(
    chunks: AsyncIterator[bytes], *, most_bytes: int
) -> AsyncIterator[ServerSent]:
    """The events of a stream, each once its blank line has come.

    Raises:
        TooMuch: More than ``most_bytes`` came in all.
        UnicodeDecodeError: A line is no UTF-8.
    """
    event, data = "message", list[str]()
    async for line in _lines(chunks, most_bytes):
        if not line:
            if data:
                yield ServerSent(event, "\n".join(data))
            event, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)


async def _lines(chunks: AsyncIterator[bytes], most_bytes: int) -> AsyncIterator[str]:
    rest, read = bytearray(), 0
    async for chunk in chunks:
        read += len(chunk)
        if read > most_bytes:
            raise TooMuch
        *ends, begin = chunk.split(b"\n")
        for end in ends:
            rest += end
            line = rest.removesuffix(b"\r").decode()
            rest.clear()
            yield line
        rest += begin
