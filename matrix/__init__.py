"""The shore: all that speaks to a homeserver."""

from matrix.batch import Batch, Event, Gap, RoomItem
from matrix.delivery import Delivery
from matrix.errors import (
    LoginRefused,
    MatrixError,
    NotEncryptable,
    RateLimited,
    Refused,
    SessionUnusable,
    StoreFailed,
    TokenRevoked,
    Unreachable,
)
from matrix.homeserver import Homeserver
from matrix.intake import Intake
from matrix.session import HomeserverSettings

__all__ = [
    "Batch",
    "Delivery",
    "Event",
    "Gap",
    "Homeserver",
    "HomeserverSettings",
    "Intake",
    "LoginRefused",
    "MatrixError",
    "NotEncryptable",
    "RateLimited",
    "Refused",
    "RoomItem",
    "SessionUnusable",
    "StoreFailed",
    "TokenRevoked",
    "Unreachable",
]
