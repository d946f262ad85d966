"""Files at the homeserver: read and written in pieces, never whole in memory."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import urlencode

from attrs import frozen

from fsm.values.ids import RoomId
from fsm.values.messages import Attachment
from fsm.values.retry import UPLOAD
from matrix.api import fields
from matrix.api.errors import Refused, Unreachable
from matrix.api.http import HomeserverHttp, endpoint
from matrix.api.retry import retry_request
from matrix.crypto.file_crypto import Seal, Unseal

Json = dict[str, Any]

CHUNK_BYTES = 65_536
MOST_IN_MEMORY = 1_000_000
"""What is to be uploaded waits on disk beyond that: a homeserver wants to know its length first."""

SILENCE_SECONDS = 30.0
UPLOAD_SECONDS = 600.0

MOST_NAME_CHARS = 120

_MXC = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]+)/([A-Za-z0-9_-]+)")
_KINDS = {"image": "m.image", "audio": "m.audio", "video": "m.video"}

# What a client may show in its place without running anything. Whatever else an agent calls its
# file, HTML and SVG among it, is one to be saved.
_SHOWN = re.compile(r"image/(png|jpeg|gif|webp)|(audio|video)/[a-z0-9.+-]+")
_PLAIN = re.compile(r"(text/(plain|csv|markdown)|application/(pdf|json|zip|x-tar|gzip))")


@frozen
class _Spool:
    """A file on its way up.

    Args:
        content: Its bytes, encrypted if the room is.
        size: How many there are, before they were encrypted.
        seal: What has encrypted them.
    """

    content: IO[bytes]
    size: int
    seal: Seal | None


class Media:
    """Downloads and uploads of one account.

    Args:
        http: The homeserver.
        is_encrypted: Whether a room is encrypted.
    """

    def __init__(
        self, http: HomeserverHttp, is_encrypted: Callable[[RoomId], Awaitable[bool]]
    ) -> None:
        self._http = http
        self._is_encrypted = is_encrypted
        self._limit: int | None = None

    async def download(
        self, attachment: Attachment, *, most_bytes: int
    ) -> AsyncGenerator[bytes, None]:
        """The file's content, decrypted, in pieces (``GET …/media/download``).

        The last piece of an encrypted file is given out when its hash has been seen to be right.

        Raises:
            Refused: It is gone, or larger than ``most_bytes``.
            Spoiled: It is not what its sender sent.
            Unreachable: The homeserver is away, or ended in the middle of the file.
        """
        found = _MXC.fullmatch(attachment.url)
        if found is None:
            raise Refused(404, "M_NOT_FOUND", f"{attachment.url[:80]!r} is no mxc:// URI")
        unseal = Unseal(attachment.encryption) if attachment.encryption is not None else None
        path = endpoint("media", "download", found[1], found[2], version="v1")
        size, before = 0, b""
        async with aclosing(self._http.read(path, silence_seconds=SILENCE_SECONDS)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > most_bytes:
                    raise Refused(413, "M_TOO_LARGE", f"it has more than {most_bytes} bytes")
                if before:
                    yield before
                before = unseal.unseal(chunk) if unseal is not None else chunk
        if unseal is not None:
            unseal.check()
        if before:
            yield before

    async def upload(
        self,
        room_id: RoomId,
        name: str,
        mimetype: str,
        chunks: AsyncIterator[bytes],
        *,
        most_bytes: int,
    ) -> Json:
        """Upload a file, encrypted if the room is; the content of the message that shows it.

        An upload that is tried again, or whose message is never sent, leaves a file that nothing
        refers to: homeservers clear such away, or let operators do so.

        Raises:
            MatrixError: It is too large, or the homeserver does not take it.
        """
        seal = Seal() if await self._is_encrypted(room_id) else None
        most_bytes = min(most_bytes, await self._most_bytes())
        with SpooledTemporaryFile(max_size=MOST_IN_MEMORY) as content:
            spool = await _spooled(content, chunks, seal, most_bytes)
            kept_as = "application/octet-stream" if seal else _stored_type(mimetype)
            url = await retry_request(lambda: self._post(spool, kept_as), UPLOAD)
        return _content(_named(name), _stored_type(mimetype), url, spool)

    async def _post(self, spool: _Spool, mimetype: str) -> str:
        answer = await self._http.post_file(
            "/_matrix/media/v3/upload?" + urlencode({"filename": "file"}),
            spool.content,
            mimetype=mimetype,
            timeout_seconds=UPLOAD_SECONDS,
        )
        url = answer.get("content_uri")
        if not isinstance(url, str) or _MXC.fullmatch(url) is None:
            raise Unreachable(self._http.url, "its answer to an upload lacks content_uri")
        return url

    async def _most_bytes(self) -> int:
        """What the homeserver takes at most (``GET …/media/config``)."""
        if self._limit is None:
            path = endpoint("media", "config", version="v1")
            answer = await retry_request(lambda: self._http.request("GET", path), UPLOAD)
            self._limit = fields.number(answer, "m.upload.size") or 2**40
        return self._limit


async def _spooled(
    content: IO[bytes], chunks: AsyncIterator[bytes], seal: Seal | None, most_bytes: int
) -> _Spool:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most_bytes:
            raise Refused(413, "M_TOO_LARGE", f"it has more than {most_bytes} bytes")
        content.write(seal.seal(chunk) if seal is not None else chunk)
    return _Spool(content, size, seal)


def _content(name: str, mimetype: str, url: str, spool: _Spool) -> Json:
    kind = mimetype.partition("/")[0] if _SHOWN.fullmatch(mimetype) else "file"
    where = {"url": url} if spool.seal is None else {"file": spool.seal.file(url)}
    return {
        "msgtype": _KINDS.get(kind, "m.file"),
        "body": name,
        "filename": name,
        "info": {"size": spool.size, "mimetype": mimetype},
        **where,
    }


def _named(name: str) -> str:
    """The name without folders, control characters and tricks with the writing direction."""
    last = re.split(r"[\\/]", fields.clean(name))[-1]
    plain = "".join(c for c in last if c.isprintable()).strip(" .")
    return plain[:MOST_NAME_CHARS] or "file"


def _stored_type(mimetype: str) -> str:
    bare = mimetype.partition(";")[0].strip().lower()
    is_harmless = _SHOWN.fullmatch(bare) or _PLAIN.fullmatch(bare)
    return bare if is_harmless else "application/octet-stream"
