import pytest

from fsm.values.ids import RoomId
from matrix import named_room, room_link, room_name_content, space_child_content

ROOM, ROOM_V12 = RoomId("!room:other.org:8448"), RoomId("!a-hash")


@pytest.mark.parametrize(("room_id", "via"), [(ROOM, "other.org:8448"), (ROOM_V12, "example.org")])
def test_a_space_child_names_a_server_that_is_in_the_room(room_id: RoomId, via: str) -> None:
    content = {"via": [via], "suggested": True}

    assert space_child_content(room_id, "example.org") == content


@pytest.mark.parametrize(
    ("room_id", "link"),
    [
        (ROOM, "https://matrix.to/#/!room:other.org:8448?via=other.org:8448"),
        (ROOM_V12, "https://matrix.to/#/!a-hash?via=example.org"),
        (RoomId("!a/b?c:x"), "https://matrix.to/#/!a%2Fb%3Fc:x?via=x"),
    ],
)
def test_a_link_escapes_the_room_id_and_names_a_server(room_id: RoomId, link: str) -> None:
    assert room_link(room_id, "example.org") == link


def test_the_name_of_a_room_is_read_back_from_its_state_event() -> None:
    assert named_room("m.room.name", room_name_content("Tides")) == "Tides"
    assert named_room("m.room.name", {}) == ""
    assert named_room("m.room.topic", {"name": "Tides"}) is None
