from typing import Any, TypeVar

import pytest
from attrs import evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from durable.records import ChatRecord, FlowRecord, IssuedNumber, RoomRecord, SavedState, UserRecord
from durable.store.codec import dump, from_json, load, to_json
from durable.store.errors import CorruptValue
from fsm.values.ids import AgentId, ChatId, PlatformChatId, RoomId, UserId

R = TypeVar("R", UserRecord, RoomRecord, ChatRecord, FlowRecord)

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MAYBE = st.none() | TEXT


def with_unknown_fields(records: st.SearchStrategy[R]) -> st.SearchStrategy[R]:
    def keep_unknown(record: R, found: dict[str, Any]) -> R:
        known = {attribute.name for attribute in fields(type(record))} - {"extra"}
        return evolve(record, extra={k: v for k, v in found.items() if k not in known})

    return st.builds(keep_unknown, records, st.dictionaries(TEXT, JSON, max_size=3))


USERS = st.builds(
    UserRecord,
    space_id=MAYBE.map(lambda s: s if s is None else RoomId(s)),
    next_chat_index=st.integers(1, 2**53),
    selected_agent_id=MAYBE.map(lambda s: s if s is None else AgentId(s)),
)
ROOMS = st.builds(
    RoomRecord,
    room_type=TEXT,
    chat_id=MAYBE.map(lambda s: s if s is None else ChatId(s)),
    display_name=MAYBE,
    matrix_user_id=MAYBE.map(lambda s: s if s is None else UserId(s)),
    platform_chat_id=MAYBE.map(lambda s: s if s is None else PlatformChatId(s)),
    agent_id=MAYBE.map(lambda s: s if s is None else AgentId(s)),
)
CHATS = st.builds(
    ChatRecord,
    chat_id=TEXT.map(ChatId),
    name=TEXT,
    room_id=TEXT.map(RoomId),
    archived=st.booleans(),
    created_at=st.datetimes().map(lambda at: at.isoformat()),
)
FLOWS = st.builds(
    FlowRecord,
    state=TEXT,
    version=st.integers(0, 2**53),
    record=st.dictionaries(TEXT, JSON, max_size=3),
)


@given(
    st.one_of(
        with_unknown_fields(USERS),
        with_unknown_fields(ROOMS),
        with_unknown_fields(CHATS),
        with_unknown_fields(FLOWS),
    )
)
def test_every_record_comes_back_as_it_was_with_the_fields_nobody_knows(
    record: UserRecord | RoomRecord | ChatRecord | FlowRecord,
) -> None:
    assert record == from_json(type(record), to_json(record))


def test_a_field_called_extra_is_an_unknown_field_like_any_other() -> None:
    text = '{"space_id":null,"next_chat_index":1,"selected_agent_id":null,"extra":{"a":1}}'

    record = from_json(UserRecord, text)

    assert record.extra == {"extra": {"a": 1}}
    assert text == to_json(record)


def test_cyrillic_is_stored_as_people_wrote_it() -> None:
    assert "Чат 3" in to_json(RoomRecord(display_name="Чат 3"))


def test_missing_fields_have_their_defaults() -> None:
    assert UserRecord() == from_json(UserRecord, "{}")


def test_a_platform_chat_id_written_as_a_number_is_read_as_text() -> None:
    assert PlatformChatId("42") == from_json(RoomRecord, '{"platform_chat_id":42}').platform_chat_id


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (UserRecord, ""),
        (UserRecord, "{"),
        (UserRecord, "null"),
        (UserRecord, "[]"),
        (UserRecord, '"text"'),
        (UserRecord, '{"next_chat_index":"4"}'),
        (UserRecord, '{"next_chat_index":true}'),
        (UserRecord, '{"next_chat_index":4.0}'),
        (UserRecord, '{"next_chat_index":null}'),
        (UserRecord, '{"selected_agent_id":7}'),
        (RoomRecord, '{"platform_chat_id":4.5}'),
        (RoomRecord, '{"platform_chat_id":true}'),
        (RoomRecord, '{"display_name":["Chat"]}'),
        (RoomRecord, "\udcff"),
        (ChatRecord, "{}"),
        (ChatRecord, '{"chat_id":"C1","name":"n","room_id":"!r","created_at":"","archived":0}'),
        (FlowRecord, '{"state":"s","version":1,"record":[]}'),
        (IssuedNumber, '"4x"'),
        (IssuedNumber, "-1"),
        (IssuedNumber, "4.0"),
        (IssuedNumber, '"\uff19"'),
        (IssuedNumber, "1234567890123456789"),
    ],
)
def test_a_value_of_the_wrong_shape_is_corrupt_and_never_coerced(cls: type, text: str) -> None:
    with pytest.raises(CorruptValue):
        from_json(cls, text)


@pytest.mark.parametrize("text", ["41", '"41"'])
def test_the_sequence_is_read_as_a_number_or_as_text(text: str) -> None:
    assert IssuedNumber(41) == from_json(IssuedNumber, text)


def test_a_corrupt_value_says_what_was_expected_and_what_was_found() -> None:
    with pytest.raises(CorruptValue) as caught:
        from_json(UserRecord, '{"next_chat_index":"4"}')

    assert "UserRecord" in str(caught.value)
    assert "$.next_chat_index" in str(caught.value)


def test_lone_surrogates_in_a_message_do_not_stop_the_store() -> None:
    stored = load(dump({"body": ("\ud800", "Чат", 1, None)}))

    assert stored == {"body": ["\ufffd", "Чат", 1, None]}


def test_a_record_of_a_flow_without_an_origin_is_written_as_before_there_were_any() -> None:
    old = '{"record":{"km":7},"state":"driving","version":1}'
    record = from_json(FlowRecord, old)

    assert record.origin is None
    assert load(to_json(record)) == load(old)
    origin = SavedState("driving", {"km": 7})
    broken = evolve(record, state="broken", origin=origin)
    assert from_json(FlowRecord, to_json(broken)) == broken
