"""``/v1/responses``: text, thinking and calls of the client's functions; nothing is kept.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import OssError
from oss.turn.events import Done, Notice, Reasoning, Text
from oss_plugins.serve.answers import new_id
from oss_plugins.serve.asks import response_ask
from oss_plugins.serve.errors import ApiError, api_error
from oss_plugins.serve.jsons import decode
from oss_plugins.serve.schemas import ResponseBody
from oss_plugins.serve.work import Stream, Whole, event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from oss.contracts.messages import ToolCall
    from oss_plugins.serve.asks import Ask
    from oss_plugins.serve.catalogue import Served
    from oss_plugins.serve.service import Service
    from oss_plugins.serve.work import Work

Json = dict[str, Any]


def response_work(service: Service, raw: bytes) -> Work:
    """Answer ``POST /v1/responses``."""
    body = decode(raw, ResponseBody)
    ask = response_ask(body, service.settings)
    making = Making(service, service.check(ask), ask, body)
    if body.stream:
        return Stream(making.stream(), service.metrics)
    return Whole(making.whole(), service.metrics)


class Making:
    """One response while it is made."""

    def __init__(self, service: Service, served: Served, ask: Ask, body: ResponseBody) -> None:
        self._service = service
        self._served = served
        self._ask = ask
        self._came = time.monotonic()
        self._number = 0
        self._output: list[Json] = []
        self._open: Json | None = None
        self._begun = False
        self._head = _head(served.name, body)

    async def whole(self) -> Json:
        """The finished response."""
        found: Json = {}
        async with aclosing(self._happenings()) as happenings:
            async for name, value in happenings:
                if name in ("response.completed", "response.incomplete"):
                    found = value["response"]
        return found

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events. A failure after the first one is ``response.failed``."""
        begun = False
        try:
            async with aclosing(self._happenings()) as happenings:
                async for name, value in happenings:
                    begun = True
                    yield self._event(name, value)
        except (ApiError, OssError) as error:
            if not begun:
                raise
            failure = error if isinstance(error, ApiError) else api_error(error)
            problem = {"code": "server_error", "message": failure.message}
            failed = {**self._response("failed"), "error": problem}
            yield self._event("response.failed", {"response": failed})

    def _event(self, name: str, value: Json) -> bytes:
        number, self._number = self._number, self._number + 1
        return event({"type": name, "sequence_number": number, **value}, name)

    async def _happenings(self) -> AsyncGenerator[tuple[str, Json], None]:
        done: Done | None = None
        notices: list[str] = []
        async with self._service.engine(self._served) as engine:
            events = self._service.answer(self._served, self._ask, engine, self._came)
            async with aclosing(events):
                async for happened in events:
                    if isinstance(happened, Notice):
                        notices.append(happened.message)
                    elif isinstance(happened, Text | Reasoning) and happened.text:
                        for each in self._began():
                            yield each
                        kind = "message" if isinstance(happened, Text) else "reasoning"
                        for each in self._piece(kind, happened.text):
                            yield each
                    elif isinstance(happened, Done):
                        done = happened
        assert done is not None  # noqa: S101  a turn ends with it, or raises
        for each in (*self._began(), *self._closed()):
            yield each
        if done.finish_reason == "tool_calls":
            for call in done.messages[-1].tool_calls:
                for each in self._call(call):
                    yield each
        elif not any(item["type"] == "message" for item in self._output):
            for each in (*self._opened("message"), *self._closed()):
                yield each
        cut = done.finish_reason in ("length", "content_filter")
        response = self._response("incomplete" if cut else "completed")
        if cut:
            reason = "max_output_tokens" if done.finish_reason == "length" else "content_filter"
            response["incomplete_details"] = {"reason": reason}
        usage = done.usage
        response["usage"] = {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.total_tokens,
        }
        if notices:
            response["notices"] = notices
        yield f"response.{response['status']}", {"response": response}

    def _began(self) -> Iterator[tuple[str, Json]]:
        """The two events that open every response, once."""
        if self._begun:
            return
        self._begun = True
        for name in ("response.created", "response.in_progress"):
            yield name, {"response": self._response("in_progress")}

    def _piece(self, kind: str, text: str) -> Iterator[tuple[str, Json]]:
        if self._open is not None and self._open["type"] != kind:
            yield from self._closed()
        if self._open is None:
            yield from self._opened(kind)
        item = self._open
        assert item is not None  # noqa: S101
        item["content"][0]["text"] += text
        name = (
            "response.output_text.delta" if kind == "message" else "response.reasoning_text.delta"
        )
        extra: Json = {"logprobs": []} if kind == "message" else {}
        yield name, {**self._place(item), "delta": text, **extra}

    def _opened(self, kind: str) -> Iterator[tuple[str, Json]]:
        if kind == "message":
            item: Json = {"id": new_id("msg_"), "type": kind, "role": "assistant"}
            part: Json = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        else:
            item = {"id": new_id("rs_"), "type": kind, "summary": []}
            part = {"type": "reasoning_text", "text": ""}
        item |= {"status": "in_progress", "content": []}
        index = len(self._output)
        yield "response.output_item.added", {"output_index": index, "item": {**item, "content": []}}
        self._output.append(item)
        self._open = item
        yield "response.content_part.added", {**self._place(item), "part": dict(part)}
        item["content"] = [part]

    def _closed(self) -> Iterator[tuple[str, Json]]:
        item, self._open = self._open, None
        if item is None:
            return
        part = item["content"][0]
        message = item["type"] == "message"
        name = "response.output_text.done" if message else "response.reasoning_text.done"
        extra: Json = {"logprobs": []} if message else {}
        yield name, {**self._place(item), "text": part["text"], **extra}
        yield "response.content_part.done", {**self._place(item), "part": dict(part)}
        item["status"] = "completed"
        index = self._output.index(item)
        yield "response.output_item.done", {"output_index": index, "item": item}

    def _call(self, call: ToolCall) -> Iterator[tuple[str, Json]]:
        item: Json = {
            "id": new_id("fc_"),
            "type": "function_call",
            "call_id": new_id("call_"),
            "name": call.name,
            "arguments": "",
            "status": "in_progress",
        }
        index = len(self._output)
        yield "response.output_item.added", {"output_index": index, "item": dict(item)}
        where = {"output_index": index, "item_id": item["id"]}
        text = call.arguments
        yield "response.function_call_arguments.delta", {**where, "delta": text}
        done = {**where, "arguments": text, "name": call.name}
        yield "response.function_call_arguments.done", done
        item |= {"arguments": text, "status": "completed"}
        self._output.append(item)
        yield "response.output_item.done", {"output_index": index, "item": item}

    def _place(self, item: Json) -> Json:
        return {
            "output_index": self._output.index(item),
            "item_id": item["id"],
            "content_index": 0,
        }

    def _response(self, status: str) -> Json:
        return {**self._head, "status": status, "output": list(self._output)}


def _head(model: str, body: ResponseBody) -> Json:
    """What a response repeats of its request."""
    import msgspec

    plain = msgspec.to_builtins(body)
    wanted = plain.get("text") or {}
    form = {k: v for k, v in (wanted.get("format") or {"type": "text"}).items() if v is not None}
    tools = [
        {"strict": False, **{k: v for k, v in t.items() if v is not None}}
        for t in plain["tools"] or ()
    ]
    choice = plain["tool_choice"] or "auto"
    return {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": body.reasoning.effort if body.reasoning else None, "summary": None},
        "store": False,
        "temperature": body.temperature,
        "text": {"format": form},
        "tool_choice": choice,
        "tools": [{"parameters": None, **tool} for tool in tools],
        "top_p": body.top_p,
        "truncation": "disabled",
        "usage": None,
    }
