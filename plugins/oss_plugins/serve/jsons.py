"""JSON in and out: msgspec decodes and checks, and encodes faster than the standard library."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

Shape = TypeVar("Shape")


def encode(value: Any) -> bytes:
    """JSON bytes; what is not JSON (an infinite logprob) becomes ``null``."""
    return msgspec.json.encode(value)


def decode(body: bytes, shape: type[Shape]) -> Shape:
    """A request's body, checked.

    :raises ApiError: not JSON, or not of the shape; ``param`` names the field.
    """
    from oss_plugins.serve.errors import refused

    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        param = path.rstrip("`").lstrip(".") or None
        raise refused(f"{text}{f' in {param}' if param else ''}", param) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise refused(f"the body is not JSON: {error}") from error
