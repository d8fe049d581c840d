"""What an operator decides about a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Limits and rights.

    :param key: what clients must send; ``None``: no key, loopback alone.
    :param profiles: the profiles to serve; empty: all.
    :param hosts: names beside loopback's that a ``Host`` header may have; with a key, any may.
    :param origins: web pages that may use the server (CORS); none by default.
    :param parallel: requests that run at once.
    :param queue: requests that may wait beside them; the next one gets 429.
    :param max_body: bytes of a request.
    :param max_tokens: the longest answer that a request may ask for, and the length of one that
        asks for none; ``None``: what the context has room for.
    :param max_n: answers of one request.
    :param max_messages: messages of one conversation; also texts of one embedding request.
    :param keep_alive: seconds that an engine stays loaded after its last use; below 0 for ever.
    :param wait: seconds to wait for memory that other engines use.
    :param grace: seconds that running answers have to end when the server is stopped.
    """

    key: str | None = None
    profiles: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    parallel: int = 8
    queue: int = 64
    max_body: int = 4 * 1024 * 1024
    max_tokens: int | None = None
    max_n: int = 8
    max_messages: int = 2048
    keep_alive: float = 300.0
    wait: float = 120.0
    grace: float = 30.0
