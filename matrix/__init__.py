"""Matrix client: all traffic with the homeserver."""

from matrix.api import fields
from matrix.api.errors import (
    LoginRefused,
    MatrixError,
    NotEncryptable,
    RateLimited,
    Refused,
    SessionFileFailed,
    SessionUnusable,
    StoreFailed,
    StoreMoved,
    TokenRevoked,
    Unreachable,
)
from matrix.api.homeserver import Homeserver
from matrix.api.session import HomeserverSettings
from matrix.inbound.batch import RoomItem, SyncBatch, SyncEvent, TimelineGap
from matrix.inbound.edits import MessageChange
from matrix.inbound.reader import HomeserverReader
from matrix.inbound.sync import SyncLoop
from matrix.inbound.transcript import QuestionAnswer, Transcript
from matrix.outbound.delivery import Delivery, DeliveryOutcomes
from matrix.outbound.messages import (
    MESSAGE,
    REACTION,
    edit_content,
    message_content,
    reaction_content,
)
from matrix.outbound.queues import RoomQueues
from matrix.outbound.receipts import Receipts
from matrix.outbound.room_creation import RoomCreator, RoomStyle
from matrix.outbound.split import split_text
from matrix.outbound.state import (
    MEMBER,
    ROOM_NAME,
    SPACE_CHILD,
    named_room,
    room_link,
    room_name_content,
    space_child_content,
)

__all__ = [
    "MEMBER",
    "MESSAGE",
    "REACTION",
    "ROOM_NAME",
    "SPACE_CHILD",
    "Delivery",
    "DeliveryOutcomes",
    "Homeserver",
    "HomeserverReader",
    "HomeserverSettings",
    "LoginRefused",
    "MatrixError",
    "MessageChange",
    "NotEncryptable",
    "QuestionAnswer",
    "RateLimited",
    "Receipts",
    "Refused",
    "RoomCreator",
    "RoomItem",
    "RoomQueues",
    "RoomStyle",
    "SessionFileFailed",
    "SessionUnusable",
    "StoreFailed",
    "StoreMoved",
    "SyncBatch",
    "SyncEvent",
    "SyncLoop",
    "TimelineGap",
    "TokenRevoked",
    "Transcript",
    "Unreachable",
    "edit_content",
    "fields",
    "message_content",
    "named_room",
    "reaction_content",
    "room_link",
    "room_name_content",
    "space_child_content",
    "split_text",
]
