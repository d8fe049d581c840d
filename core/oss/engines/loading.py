"""What goes on while an engine loads, for whoever shows it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("loading", default=None)


def say_loading(text: str) -> None:
    """Tell the listener, if there is one, how far an engine has come; a few words."""
    if (listener := _listener.get()) is not None:
        listener(text)


@contextmanager
def loading_heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Let a screen or a terminal hear of loads inside this context and its tasks."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
