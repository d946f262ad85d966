import os
import resource
from collections.abc import AsyncIterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from nio.crypto.attachments import decrypt_attachment, encrypt_attachment

from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.messages import Attachment
from matrix import Homeserver, HomeserverSettings, Refused
from matrix.api.errors import FileCorrupted
from matrix.crypto.file_crypto import FileDecryptor, FileEncryptor
from matrix.inbound.parse import parse
from strandline.testing.homeserver import Synapse

MEGABYTE = 1_000_000
_numbers = count()


@pytest.fixture
async def homeserver(synapse: Synapse, tmp_path: Path) -> AsyncIterator[Homeserver]:
    account = synapse.register(f"filer{next(_numbers)}")
    settings = HomeserverSettings(
        url=synapse.url, user_id=account.user_id, password=account.password
    )
    async with Homeserver.connect(settings, tmp_path / "store") as homeserver:
        yield homeserver


async def a_room(homeserver: Homeserver, *, encrypted: bool) -> RoomId:
    state = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    return await homeserver.rooms.create({"initial_state": [state] if encrypted else []})


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def attached(content: dict[str, Any]) -> Attachment:
    raw = {
        "type": "m.room.message",
        "event_id": "$f",
        "sender": "@somebody:x",
        "origin_server_ts": 1,
        "content": content,
    }
    inbound = parse(raw, room_id=RoomId("!r"), bot=UserId("@bot:x"))
    assert inbound is not None
    return inbound.attachments[0]


async def read(
    homeserver: Homeserver, attachment: Attachment, *, max_bytes: int = 10 * MEGABYTE
) -> bytes:
    found = homeserver.media.download(attachment, max_bytes=max_bytes)
    return b"".join([chunk async for chunk in found])


@pytest.mark.homeserver
@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_file_comes_back_as_it_was_uploaded(
    homeserver: Homeserver,
    encrypted: bool,  # noqa: FBT001
) -> None:
    room, data = await a_room(homeserver, encrypted=encrypted), os.urandom(200_000)

    content = await homeserver.media.upload(
        room, "../a\x07.png", "image/png", pieces(data[:7], data[7:]), max_bytes=MEGABYTE
    )
    attachment = attached(content)

    assert (attachment.name, attachment.kind, attachment.size_bytes) == ("a.png", "image", 200_000)
    assert (attachment.encryption is not None) is encrypted
    assert await read(homeserver, attachment) == data
    assert await read(homeserver, attachment, max_bytes=200_000) == data
    with pytest.raises(Refused, match="M_TOO_LARGE"):
        await read(homeserver, attachment, max_bytes=199_999)
    if encrypted:
        bare = await read(homeserver, evolve(attachment, encryption=None))
        file = content["file"]
        assert bare != data
        assert (
            decrypt_attachment(bare, file["key"]["k"], file["hashes"]["sha256"], file["iv"]) == data
        )
        forged = {**file, "hashes": {"sha256": "b" * 43}}
        with pytest.raises(FileCorrupted, match="not what was sent"):
            await read(homeserver, evolve(attachment, encryption=forged))


@pytest.mark.homeserver
async def test_what_is_not_there_or_not_taken_is_told(homeserver: Homeserver) -> None:
    room = await a_room(homeserver, encrypted=False)
    server = homeserver.user_id.partition(":")[2]
    gone = Attachment(event_id=EventId("$f"), name="a", url=f"mxc://{server}/gone")

    with pytest.raises(Refused, match="M_NOT_FOUND"):
        await read(homeserver, gone)
    for url in ("https://elsewhere.example/a", "mxc://../../x", f"mxc://{server}/a?b=c", ""):
        with pytest.raises(Refused, match="no mxc:// URI"):
            await read(homeserver, evolve(gone, url=url))
    with pytest.raises(Refused, match="M_TOO_LARGE"):
        await homeserver.media.upload(room, "a", "text/plain", pieces(b"abc"), max_bytes=2)


@pytest.mark.homeserver
@pytest.mark.parametrize("mimetype", ["text/html", "image/svg+xml", "application/x-sh", "no type"])
async def test_what_a_client_might_run_is_a_file_to_be_saved(
    homeserver: Homeserver, mimetype: str
) -> None:
    room = await a_room(homeserver, encrypted=False)

    content = await homeserver.media.upload(
        room, "a", mimetype, pieces(b"<script>"), max_bytes=MEGABYTE
    )

    assert (content["msgtype"], content["info"]["mimetype"]) == (
        "m.file",
        "application/octet-stream",
    )


@pytest.mark.homeserver
async def test_a_large_file_never_lies_in_memory_whole(homeserver: Homeserver) -> None:
    room, block = await a_room(homeserver, encrypted=True), os.urandom(MEGABYTE)

    async def thirty() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield block

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    content = await homeserver.media.upload(
        room, "large.bin", "application/zip", thirty(), max_bytes=40 * MEGABYTE
    )
    size = 0
    async for chunk in homeserver.media.download(attached(content), max_bytes=40 * MEGABYTE):
        size += len(chunk)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert size == 30 * MEGABYTE
    assert grown_kb < 15_000


@given(st.binary(max_size=5_000), st.lists(st.integers(0, 5_000), max_size=8))
def test_a_file_is_decrypted_alike_in_whatever_pieces_it_comes(
    data: bytes, cuts: list[int]
) -> None:
    sealed, keys = encrypt_attachment(data)
    borders = [0, *sorted(min(cut, len(sealed)) for cut in cuts), len(sealed)]
    decryptor = FileDecryptor(keys)

    parts = [decryptor.decrypt(sealed[a:b]) for a, b in pairwise(borders)]

    decryptor.verify()
    assert b"".join(parts) == data


@given(st.lists(st.binary(max_size=500), max_size=8))
def test_another_client_reads_what_was_sealed_in_pieces(data: list[bytes]) -> None:
    encryptor = FileEncryptor()
    sealed = b"".join([encryptor.encrypt(piece) for piece in data])
    file = encryptor.file("mxc://x/a")

    opened = decrypt_attachment(sealed, file["key"]["k"], file["hashes"]["sha256"], file["iv"])

    assert opened == b"".join(data)


@pytest.mark.parametrize(
    "file",
    [
        {},
        {"key": {"k": "!"}, "iv": "a", "hashes": {"sha256": "a"}},
        {"key": {"k": "AAAA"}, "iv": "AAAA", "hashes": {"sha256": "AAAA"}},
        {"key": "k", "iv": 1, "hashes": []},
    ],
)
def test_a_key_that_is_none_spoils_its_file(file: dict[str, Any]) -> None:
    with pytest.raises(FileCorrupted, match="its key can't be used"):
        FileDecryptor(file)
