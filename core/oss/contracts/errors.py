"""The one family of errors that users see: a message, a hint, an exit code.

Raise one of these for anything a person can mend; the command line prints
``error: <message>`` and ``hint: <hint>`` and exits with :attr:`OssError.exit_code`. Any other
exception is a bug and keeps its traceback.

    OssError                1
    ├── UsageError          2   wrong arguments, unusable input
    ├── ConfigError         3   profile, persona, plugin or settings file
    ├── ModelError          4   model absent, broken, or too large for this machine
    ├── BackendError        5   an engine failed, or cannot do what was asked
    │   ├── CapabilityError 5   refused before the model loads
    │   └── EngineDiedError 5   the engine is gone; a new one can be opened
    ├── RefusedError        6   needs a person's consent and none can be asked
    ├── ContextOverflowError 7  the prompt does not fit the context
    ├── BusyError           8   another process holds what is needed
    ├── NetworkError        9   nothing could be fetched
    └── StorageError       10   disk full, read-only, or a damaged database
"""

from __future__ import annotations

from typing import ClassVar


class OssError(Exception):
    """An error that a person can mend.

    :param message: one line that names the thing at fault (file, key, model).
    :param hint: one line that says what to do, or ``None``.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(OssError):
    """Wrong arguments or unusable input."""

    exit_code = 2


class ConfigError(OssError):
    """A profile, persona, plugin or settings file is wrong."""

    exit_code = 3


class ModelError(OssError):
    """A model is absent, broken, or too large for this machine."""

    exit_code = 4


class BackendError(OssError):
    """An engine failed."""

    exit_code = 5


class CapabilityError(BackendError):
    """The chosen engine cannot do what was asked; raised before the model loads."""


class EngineDiedError(BackendError):
    """The engine is gone, and what ran on it with it; a new one can be opened."""


class RefusedError(OssError):
    """Consent is needed and there is no one to ask."""

    exit_code = 6


class ContextOverflowError(OssError):
    """The prompt does not fit the context, and the profile says to refuse."""

    exit_code = 7


class BusyError(OssError):
    """Another process holds what is needed."""

    exit_code = 8


class NetworkError(OssError):
    """Nothing could be fetched."""

    exit_code = 9


class StorageError(OssError):
    """The disk is full or read-only, or a database is damaged."""

    exit_code = 10
