"""Other people's device keys, as far as the crypto engine can use them. Pure and total.

Anybody may publish anything as the keys of a device, and part of the engine is written in Rust: a
signing key of 31 or 33 bytes makes it panic.
"""

import re
from base64 import b64decode, b64encode
from typing import Any

from matrix.api import fields

Json = dict[str, Any]

_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{86}")


def usable_devices(user: str, raw: object) -> Json:
    """The devices in one user's part of an answer to ``/keys/query`` whose keys are keys."""
    return {
        device: keys | {"unsigned": _display_name(keys)}
        for device, keys in fields.mapping(raw).items()
        if _is_device(user, device, keys)
    }


def is_one_time_key(user: str, device: str, raw: object) -> bool:
    """Whether this is one signed key of the device, as an answer to ``/keys/claim`` has it."""
    keys = [fields.mapping(key) for key in fields.mapping(raw).values()]
    return len(keys) == 1 and _is_key(keys[0], "key") and _is_signed(keys[0], user, device)


def _is_device(user: str, device: str, raw: object) -> bool:
    device_keys = fields.mapping(raw)
    keys = fields.fields(device_keys, "keys")
    return (
        (device_keys.get("user_id"), device_keys.get("device_id")) == (user, device)
        and _is_key(keys, f"ed25519:{device}")
        and _is_key(keys, f"curve25519:{device}")
        and _is_signed(device_keys, user, device)
    )


def _display_name(device_keys: Json) -> Json:
    name = fields.text(fields.fields(device_keys, "unsigned"), "device_display_name")
    return {} if name is None else {"device_display_name": name}


def _is_signed(raw: Json, user: str, device: str) -> bool:
    signature = fields.text(fields.fields(raw, "signatures", user), f"ed25519:{device}")
    return signature is not None and _SIGNATURE.fullmatch(signature) is not None


def _is_key(raw: Json, name: str) -> bool:
    """Whether there are 32 bytes, in unpadded Base64, with none of its unused bits set."""
    text = fields.text(raw, name)
    if text is None or not _KEY.fullmatch(text):
        return False
    return b64encode(b64decode(f"{text}=")) == f"{text}=".encode()
