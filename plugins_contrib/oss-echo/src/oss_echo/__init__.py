"""Repeats the prompt: a backend and a persona."""

from __future__ import annotations

from oss.contracts.descriptors import Descriptor, Option
from oss.hookspecs import hookimpl


@hookimpl
def oss_backends() -> list[Descriptor]:
    """The backend ``echo``."""
    return [
        Descriptor(
            "echo",
            "repeats the prompt; runs no model",
            "oss_echo.backend:EchoBackend",
            options=(
                Option("context", "int", 0, "tokens of context; 0 is 2048", minimum=0),
                Option("upper", "bool", False, "answer in capitals"),
            ),
        )
    ]


@hookimpl
def oss_model_sources() -> list[Descriptor]:
    """The scheme ``echo:``."""
    return [
        Descriptor(
            "echo", "models without a file, for the backend echo", "oss_echo.source:EchoSource"
        )
    ]


@hookimpl
def oss_personas() -> list[Descriptor]:
    """The persona ``echo``."""
    return [Descriptor("echo", "repeats what it is told", "oss_echo.persona:ECHO")]
