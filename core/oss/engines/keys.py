"""Keys of servers: named in a profile, kept elsewhere."""

from __future__ import annotations

import os

from oss.contracts.errors import ConfigError

KEY_HELP = "where the server's key is: env:VARIABLE or keyring:SERVICE; never the key itself"


def read_key(spec: str, where: str) -> str | None:
    """The key that ``env:NAME`` or ``keyring:SERVICE`` (user ``oss``) stands for; empty: none.

    :param where: the profile's key, for errors. What stands there is not repeated in them: it
        may be a key.
    :raises ConfigError: a literal key, an unset variable, an empty keyring, a broken key.
    """
    kind, _, name = spec.partition(":")
    if not spec:
        return None
    if kind not in ("env", "keyring") or not name:
        raise ConfigError(
            f"{where} must say where the key is, not be the key",
            hint='write "env:NAME" and set that variable, or "keyring:SERVICE"; '
            "if a key stood there, take it out of the file and renew it",
        )
    if kind == "env":
        if not (key := os.environ.get(name)):
            raise ConfigError(f"{where} names the variable {name}, which is not set")
    else:
        key = _from_keyring(name, where)
    key = key.strip()
    if not key.isprintable():
        raise ConfigError(
            f"{where}: what {spec} holds is no key: it has a line break or a control character"
        )
    return key


def _from_keyring(service: str, where: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise ConfigError(
            f"{where} names a keyring, and 'keyring' is not installed",
            hint="pip install keyring, or use env:NAME",
        ) from error
    try:
        found: str | None = keyring.get_password(service, "oss")
    except keyring.errors.KeyringError as error:
        raise ConfigError(
            f"{where}: the keyring cannot be read: {error}", hint="use env:NAME"
        ) from error
    if not found:
        raise ConfigError(
            f"{where}: the keyring has no key for '{service}'",
            hint=f"keyring set {service} oss",
        )
    return found
