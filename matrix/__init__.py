"""The shore: all that speaks to a homeserver."""

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
from matrix.inbound.batch import Batch, Event, Gap, RoomItem
from matrix.inbound.edits import Amendment
from matrix.inbound.sync import Intake
from matrix.inbound.transcript import Exchange, Reading
from matrix.outbound.delivery import Delivery
from matrix.outbound.receipts import Courtesy
from matrix.outbound.room_creation import RoomMaker, RoomStyle

__all__ = [
    "Amendment",
    "Batch",
    "Courtesy",
    "Delivery",
    "Event",
    "Exchange",
    "Gap",
    "Homeserver",
    "HomeserverSettings",
    "Intake",
    "LoginRefused",
    "MatrixError",
    "NotEncryptable",
    "RateLimited",
    "Reading",
    "Refused",
    "RoomItem",
    "RoomMaker",
    "RoomStyle",
    "SessionUnusable",
    "StoreFailed",
    "StoreMoved",
    "TokenRevoked",
    "Unreachable",
]
