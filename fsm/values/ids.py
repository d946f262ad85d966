"""Identifiers, each a distinct type, so that a room id in place of a user id is a type error."""

from typing import NewType

UserId = NewType("UserId", str)
"""A Matrix user id, ``@alice:example.org``."""

RoomId = NewType("RoomId", str)
"""A Matrix room id. Opaque: from room version 12 on it has no server part."""

EventId = NewType("EventId", str)
"""A Matrix event id, or an id made for an inbound event without one (an invite)."""

TransactionId = NewType("TransactionId", str)
"""A client-chosen id under which the homeserver recognises a repeated send."""

SyncToken = NewType("SyncToken", str)
"""A ``next_batch`` token of ``/sync``. Opaque."""

AgentId = NewType("AgentId", str)
"""An agent's ``id`` in the config's registry."""

PlatformChatId = NewType("PlatformChatId", str)
"""The id under which agents know one chat: a decimal number, never issued twice."""

ChatId = NewType("ChatId", str)
"""A chat's number within its user's Space, ``C1``, ``C2`` …"""

ConversationKey = NewType("ConversationKey", str)
"""Identifies one conversation of a flow: a user id, a room id, or both as ``ROOM|USER``."""
