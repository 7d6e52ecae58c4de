"""What reports sum over every day: features that are also columns of the stream."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from cdesk.activity.model import Features

_Count = Annotated[int, msgspec.Meta(ge=-(2**63 - 1), le=2**63 - 1)]


class Hot(msgspec.Struct, frozen=True):
    """What reports sum over every day: beside the VARIANT as columns of its own type, read twenty times faster."""

    project_path: str | None = None
    model: str | None = None
    speed: str | None = None
    is_counted: bool | None = None
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    cache_creation_5m_tokens: _Count | None = None
    cache_creation_1h_tokens: _Count | None = None
    cache_read_tokens: _Count | None = None


_hot_decoder = msgspec.json.Decoder(Hot)
_features_decoder = msgspec.json.Decoder(dict[str, Any])
_TEXTS = ("project_path", "model", "speed")
_COUNTS = Hot.__struct_fields__[4:]


def hot(features: Features) -> Hot:
    """Of decoded features; a value of the wrong type is none."""
    known: dict[str, Any] = {name: value for name in _TEXTS if isinstance(value := features.get(name), str)}
    known |= {name: value for name in _COUNTS if type(value := features.get(name)) is int and abs(value) < 2**63}
    if isinstance(features.get("is_counted"), bool):
        known["is_counted"] = features["is_counted"]
    return Hot(**known)


def hot_of(features: msgspec.Raw) -> Hot:
    try:
        return _hot_decoder.decode(features)
    except msgspec.ValidationError:
        return hot(_features_decoder.decode(features))
