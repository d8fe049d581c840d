"""What the client raises, as the errors of ``oss``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
from weaviate import exceptions

from oss.contracts.errors import ConfigError, NetworkError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNREACHED = (
    exceptions.WeaviateConnectionError,
    exceptions.WeaviateStartUpError,
    exceptions.WeaviateGRPCUnavailableError,
    exceptions.WeaviateTimeoutError,
    httpx.TransportError,
)
_REFUSED = (exceptions.AuthenticationFailedError, exceptions.InsufficientPermissionsError)
_UNAVAILABLE = "UNAVAILABLE"
_UNAUTHENTICATED = "UNAUTHENTICATED"


@contextmanager
def faults(url: str) -> Iterator[None]:
    """Turn them.

    :raises ConfigError: the server refuses the key.
    :raises NetworkError: it does not answer.
    :raises StorageError: it cannot do what it was asked.
    """
    try:
        yield
    except (exceptions.WeaviateBaseError, httpx.TransportError) as error:
        text = str(error)
        status = getattr(error, "status_code", 0)
        if isinstance(error, _REFUSED) or status in (401, 403) or _UNAUTHENTICATED in text:
            raise ConfigError(
                f"the Weaviate server at {url} refuses the key",
                hint="set the variable that `key_env` of the retriever's options names",
            ) from error
        if isinstance(error, _UNREACHED) or _UNAVAILABLE in text:
            raise NetworkError(
                f"no answer from the Weaviate server at {url}: {text}",
                hint="see that it runs, and that `url` and `grpc_port` of the options are right",
            ) from error
        raise StorageError(f"the Weaviate server at {url}: {text}") from error
