"""Downloads and uploads of files, in chunks, so that a large file is never whole in memory."""

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
from matrix.crypto.file_crypto import FileDecryptor, FileEncryptor

Json = dict[str, Any]

MAX_MEMORY_BYTES = 1_000_000
"""Maximum bytes of an upload that is kept in memory; a larger one is in a temporary file."""

READ_TIMEOUT_SECONDS = 30.0
UPLOAD_TIMEOUT_SECONDS = 600.0

MAX_NAME_CHARS = 120

_MXC = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]+)/([A-Za-z0-9_-]+)")
_KINDS = {"image": "m.image", "audio": "m.audio", "video": "m.video"}

# Types that clients show inline and that run no code. A file of any other type, such as HTML or
# SVG, is only offered for saving.
_INLINE_TYPES = re.compile(r"image/(png|jpeg|gif|webp)|(audio|video)/[a-z0-9.+-]+")
_SAFE_TYPES = re.compile(r"(text/(plain|csv|markdown)|application/(pdf|json|zip|x-tar|gzip))")


@frozen
class _UploadFile:
    """A file to upload.

    Args:
        content: The file's bytes, encrypted if the room is encrypted.
        size: The number of bytes before encryption.
        encryptor: The object that encrypted the bytes; None if the room is not encrypted.
    """

    content: IO[bytes]
    size: int
    encryptor: FileEncryptor | None


class Media:
    """Downloads and uploads files for one account.

    Args:
        http: The HTTP client of the homeserver.
        is_encrypted: Called with a room id; returns whether that room is encrypted.
    """

    def __init__(
        self, http: HomeserverHttp, is_encrypted: Callable[[RoomId], Awaitable[bool]]
    ) -> None:
        self._http = http
        self._is_encrypted = is_encrypted
        self._limit: int | None = None

    async def download(
        self, attachment: Attachment, *, max_bytes: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield the file's content, decrypted, in chunks (``GET …/media/download``).

        The last chunk of an encrypted file is yielded only after the file's hash was verified.

        Args:
            attachment: The file.
            max_bytes: The maximum size of the file.

        Raises:
            Refused: The file is gone, or larger than ``max_bytes``.
            FileCorrupted: The file can't be decrypted, or its hash is wrong.
            Unreachable: The homeserver is unreachable, or the download broke off.
        """
        found = _MXC.fullmatch(attachment.url)
        if found is None:
            raise Refused(404, "M_NOT_FOUND", f"{attachment.url[:80]!r} is no mxc:// URI")
        decryptor = (
            FileDecryptor(attachment.encryption) if attachment.encryption is not None else None
        )
        path = endpoint("media", "download", found[1], found[2], version="v1")
        size, held_back = 0, b""
        async with aclosing(
            self._http.download(path, read_timeout_seconds=READ_TIMEOUT_SECONDS)
        ) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > max_bytes:
                    raise Refused(413, "M_TOO_LARGE", f"it has more than {max_bytes} bytes")
                if held_back:
                    yield held_back
                held_back = decryptor.decrypt(chunk) if decryptor is not None else chunk
        if decryptor is not None:
            decryptor.verify()
        if held_back:
            yield held_back

    async def upload(
        self,
        room_id: RoomId,
        name: str,
        mimetype: str,
        chunks: AsyncIterator[bytes],
        *,
        max_bytes: int,
    ) -> Json:
        """Upload a file and return the content of its ``m.room.message``.

        The file is encrypted if the room is encrypted.

        A failed attempt, or an upload whose message is never sent, can leave a file on the
        homeserver to which no event refers. Homeservers or their operators delete such files.

        Args:
            room_id: The room in which the message will be sent.
            name: The file name; folders and unsafe characters are removed.
            mimetype: The media type.
            chunks: The file's bytes.
            max_bytes: The maximum size. The homeserver's own maximum applies too.

        Raises:
            MatrixError: The file is too large, or the homeserver refuses it.
        """
        encryptor = FileEncryptor() if await self._is_encrypted(room_id) else None
        max_bytes = min(max_bytes, await self._most_bytes())
        with SpooledTemporaryFile(max_size=MAX_MEMORY_BYTES) as content:
            upload = await _read_all(content, chunks, encryptor, max_bytes)
            stored_as = "application/octet-stream" if encryptor else _stored_type(mimetype)
            url = await retry_request(lambda: self._post(upload, stored_as), UPLOAD)
        return _content(_safe_name(name), _stored_type(mimetype), url, upload)

    async def _post(self, upload: _UploadFile, mimetype: str) -> str:
        answer = await self._http.post_file(
            "/_matrix/media/v3/upload?" + urlencode({"filename": "file"}),
            upload.content,
            mimetype=mimetype,
            timeout_seconds=UPLOAD_TIMEOUT_SECONDS,
        )
        url = answer.get("content_uri")
        if not isinstance(url, str) or _MXC.fullmatch(url) is None:
            raise Unreachable(self._http.url, "its answer to an upload lacks content_uri")
        return url

    async def _most_bytes(self) -> int:
        """Return the homeserver's maximum file size in bytes (``GET …/media/config``); cached."""
        if self._limit is None:
            path = endpoint("media", "config", version="v1")
            answer = await retry_request(lambda: self._http.request("GET", path), UPLOAD)
            self._limit = fields.number(answer, "m.upload.size") or 2**40
        return self._limit


async def _read_all(
    content: IO[bytes],
    chunks: AsyncIterator[bytes],
    encryptor: FileEncryptor | None,
    max_bytes: int,
) -> _UploadFile:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise Refused(413, "M_TOO_LARGE", f"it has more than {max_bytes} bytes")
        content.write(encryptor.encrypt(chunk) if encryptor is not None else chunk)
    return _UploadFile(content, size, encryptor)


def _content(name: str, mimetype: str, url: str, upload: _UploadFile) -> Json:
    kind = mimetype.partition("/")[0] if _INLINE_TYPES.fullmatch(mimetype) else "file"
    where = {"url": url} if upload.encryptor is None else {"file": upload.encryptor.file(url)}
    return {
        "msgtype": _KINDS.get(kind, "m.file"),
        "body": name,
        "filename": name,
        "info": {"size": upload.size, "mimetype": mimetype},
        **where,
    }


def _safe_name(name: str) -> str:
    """Return the name without folders, control characters and overrides of the writing direction.

    It is cut to ``MAX_NAME_CHARS``; "file" if nothing is left.
    """
    last = re.split(r"[\\/]", fields.clean(name))[-1]
    plain = "".join(c for c in last if c.isprintable()).strip(" .")
    return plain[:MAX_NAME_CHARS] or "file"


def _stored_type(mimetype: str) -> str:
    bare = mimetype.partition(";")[0].strip().lower()
    is_harmless = _INLINE_TYPES.fullmatch(bare) or _SAFE_TYPES.fullmatch(bare)
    return bare if is_harmless else "application/octet-stream"
