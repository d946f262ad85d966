"""Every flow of Strandline's own lives through a kill at the end of every path."""

from durable.language import Language
from ephemeral.confirmation import Confirmation
from strandline.testing import kill_everywhere

test_confirmation_survives = kill_everywhere(
    Confirmation,
    first=["hello"],
    inputs={
        Confirmation.ask: "!archive",
        Confirmation.cancel: "!cancel",
        Confirmation.cancel_nothing: "!cancel",
    },
)
test_language_survives = kill_everywhere(
    Language,
    inputs={Language.choice: "ru", Language.forget: ("!forget-me", "!yes")},
)
