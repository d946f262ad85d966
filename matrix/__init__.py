"""The shore: all that speaks to a homeserver."""

from matrix.amendments import Amendment
from matrix.batch import Batch, Event, Gap, RoomItem
from matrix.courtesy import Courtesy
from matrix.delivery import Delivery
from matrix.errors import (
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
from matrix.exchanges import Exchange, Reading
from matrix.homeserver import Homeserver
from matrix.intake import Intake
from matrix.making import RoomMaker, RoomStyle
from matrix.session import HomeserverSettings

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
