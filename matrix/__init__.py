"""Matrix client: all traffic with the homeserver."""

from matrix.api import fields
from matrix.api.errors import (
    LoginRefused,
    MatrixError,
    NotEncryptable,
    RateLimited,
    Refused,
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
from matrix.outbound.messages import edit_content, message_content, reaction_content
from matrix.outbound.queues import RoomQueues
from matrix.outbound.receipts import Receipts
from matrix.outbound.room_creation import RoomCreator, RoomStyle
from matrix.outbound.split import split_text

__all__ = [
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
    "reaction_content",
    "split_text",
]
