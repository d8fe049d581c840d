"""HTTP to a server that speaks the OpenAI API: retries, time limits, and every way in which a
server can fail turned into one line.

httpx2 brings connections, proxies (``HTTPS_PROXY``, ``NO_PROXY``) and server-sent events;
tenacity the retries.
"""

from __future__ import annotations

import ipaddress
import json
import re
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

import httpx2
import tenacity

from oss.contracts.errors import BackendError, ContextOverflowError
from oss.engines.openai_wire import read_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

CONNECT_TIMEOUT_S = 10.0
LONGEST_WAIT_S = 60.0
"""The longest pause that a server's ``Retry-After`` may ask for."""

_RETRIED = frozenset({408, 429, 500, 502, 503, 504, 529})
_OVERFLOW = re.compile(
    r"context.{0,10}(length|size|window)|exceed_context|max_model_len|prompt is too long|"
    r"too many tokens",
    re.IGNORECASE,
)


class ServerRefusedError(BackendError):
    """The server answered with an error status.

    :ivar status: the HTTP status.
    :ivar said: the server's own words.
    """

    def __init__(self, message: str, *, status: int, said: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.said = said


class OpenAIClient:
    """One server. Safe to use from several tasks of one event loop; close it with :meth:`aclose`.

    :param url: ``http://host:port`` or ``http://host:port/v1``.
    :param key: sent as a bearer token.
    :param timeout: seconds that the server may stay silent.
    :param retries: how often a request that failed before its answer began is sent again.
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: float = 600.0, retries: int = 4
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self._base = urlunsplit(
            (parts.scheme, parts.netloc, parts.path.rstrip("/") or "/v1", "", "")
        )
        root = parts.path.rstrip("/").removesuffix("/v1")
        self._root = urlunsplit((parts.scheme, parts.netloc, root, "", ""))
        self._retries = retries
        self._client = httpx2.AsyncClient(
            headers={b"Authorization": f"Bearer {key}".encode()} if key else {},
            timeout=httpx2.Timeout(timeout, connect=CONNECT_TIMEOUT_S),
            limits=httpx2.Limits(max_connections=None),
            trust_env=not is_loopback(url),  # a proxy cannot reach this machine's own servers
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str) -> Any:
        """The JSON at a path; one that starts with ``//`` is outside ``/v1``.

        :raises ServerRefusedError: the server answered with an error status.
        :raises BackendError: no answer, or not JSON.
        """
        async with self._exchange("GET", path, None) as response:
            return await self._json(response)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON, return JSON; errors as :meth:`get`."""
        async with self._exchange("POST", path, body) as response:
            return await self._json(response)

    async def tell(self, path: str, body: Mapping[str, Any]) -> None:
        """Send JSON; what a success comes with is not read. Errors as :meth:`get`."""
        async with self._exchange("POST", path, body):
            pass

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Send JSON, yield the events of the answer up to its ``[DONE]``.

        A server that answers with plain JSON all the same gives one event. Closing this closes
        the connection, by which servers stop generating.

        :raises ServerRefusedError: an error status, or an error event.
        :raises ContextOverflowError: the prompt is too long for the server.
        :raises BackendError: no answer, a broken one, or one that was cut.
        """
        async with self._exchange("POST", path, body) as response:
            if _content_type(response) == "application/json":
                yield self._checked(await self._json(response), response.status_code)
                return
            if _content_type(response) != "text/event-stream":
                raise self._not_json(response)
            try:
                async with aclosing(_events(response)) as events:
                    async for event in events:
                        if event.data.strip() == "[DONE]":
                            return
                        if event.data:
                            yield self._event(event.data)
            except httpx2.HTTPError as error:
                raise BackendError(
                    f"the answer of {self.url} was cut: {_one_line(error)}",
                    hint="ask again; the server's log may say more",
                ) from error

    @asynccontextmanager
    async def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> AsyncIterator[httpx2.Response]:
        base = self._root if path.startswith("//") else self._base
        request = self._client.build_request(
            method,
            f"{base}/{path.lstrip('/')}",
            content=None if body is None else json.dumps(body, ensure_ascii=False).encode(),
            headers={} if body is None else {"Content-Type": "application/json"},
        )
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_worth_retrying),
            stop=tenacity.stop_after_attempt(self._retries + 1),
            wait=_wait,
            reraise=True,
        )
        try:
            response: httpx2.Response = await retrying(self._send, request)
        except _Refused as refused:
            raise self._refusal(refused) from None
        except httpx2.ConnectError as error:
            raise BackendError(
                f"no server answers at {self.url}: {_one_line(error)}",
                hint="start the server, or mend the url",
            ) from error
        except httpx2.TimeoutException as error:
            raise BackendError(
                f"the server at {self.url} stayed silent too long ({type(error).__name__})",
                hint="raise the backend's timeout, or look at the server's load",
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise BackendError(f"the server at {self.url} failed: {_one_line(error)}") from error
        try:
            yield response
        finally:
            await response.aclose()

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._client.send(request, stream=True)
        if response.is_success:
            return response
        try:
            await response.aread()
        finally:
            await response.aclose()
        raise _Refused(response)

    async def _json(self, response: httpx2.Response) -> Any:
        try:
            return json.loads(await response.aread())
        except ValueError as error:
            raise self._not_json(response) from error
        except httpx2.HTTPError as error:
            raise BackendError(f"the answer of {self.url} was cut: {_one_line(error)}") from error

    def _not_json(self, response: httpx2.Response) -> BackendError:
        kind = _content_type(response) or "no content type"
        return BackendError(
            f"{self.url} does not speak the OpenAI API: it answered with {kind}",
            hint="the url of such a server often ends in /v1",
        )

    def _event(self, data: str) -> dict[str, Any]:
        try:
            event = json.loads(data)
        except ValueError as error:
            raise BackendError(
                f"{self.url} sent an event that is not JSON: {data[:80]!r}"
            ) from error
        return self._checked(event, 200)

    def _checked(self, event: Any, status: int) -> dict[str, Any]:
        if not isinstance(event, dict):
            raise BackendError(f"{self.url} sent an event that is not an object")
        if event.get("error"):
            said = read_error(event["error"]) or "no reason given"
            if _OVERFLOW.search(said):
                raise ContextOverflowError(f"{self.url}: {_short(said)}")
            raise ServerRefusedError(
                f"the server at {self.url} failed: {_short(said)}", status=status, said=said
            )
        return event

    def _refusal(self, refused: _Refused) -> Exception:
        status, said = refused.response.status_code, _said(refused.response)
        hint = None
        if status in (400, 413, 422) and _OVERFLOW.search(said):
            return ContextOverflowError(
                f"the prompt does not fit the server's context: {_short(said)}",
                hint="shorten it, or start the server with a larger context",
            )
        if status in (401, 403):
            hint = "set the backend's `key` to env:NAME or keyring:NAME"
        elif status == 429:
            hint = "the server is busy or a quota is used up; try again later"
        elif status == 404:
            hint = "is the url right? it often ends in /v1"
        return ServerRefusedError(
            f"the server at {self.url} answered {status}: {_short(said)}",
            status=status,
            said=said,
            hint=hint,
        )


class _Refused(Exception):  # noqa: N818  internal; becomes a ServerRefusedError
    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _events(response: httpx2.Response) -> AsyncGenerator[httpx2.ServerSentEvent]:
    return cast("AsyncGenerator[httpx2.ServerSentEvent]", aiter(httpx2.EventSource(response)))


def _worth_retrying(error: BaseException) -> bool:
    """Failures before the answer began that may pass. A read timeout is none: the server may be
    working on it still.
    """
    if isinstance(error, _Refused):
        return error.response.status_code in _RETRIED
    return isinstance(
        error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.RemoteProtocolError
    )


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=20.0)


def _wait(state: tenacity.RetryCallState) -> float:
    """What the server asks for, else longer each time."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _Refused):
        try:
            asked = float(error.response.headers.get("retry-after", ""))
        except ValueError:
            pass
        else:
            return min(max(asked, 0.0), LONGEST_WAIT_S)
    return _backoff(state)


def _content_type(response: httpx2.Response) -> str:
    found: str = response.headers.get("content-type", "")
    return found.partition(";")[0].strip().lower()


def _said(response: httpx2.Response) -> str:
    """The server's words in an error body: JSON of any shape, the title of a page, or text."""
    text = response.text
    try:
        said = read_error(json.loads(text))
    except ValueError:
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        said = title.group(1) if title else re.sub(r"<[^>]*>", " ", text)
    return said or response.reason_phrase or "no reason given"


def _short(text: str, limit: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _one_line(error: Exception) -> str:
    return _short(str(error) or type(error).__name__)
