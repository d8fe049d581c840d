"""``/v1/chat/completions`` and ``/v1/completions``."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from oss.contracts.chat import TokenLogprob, Usage
from oss.turn.events import Done, Notice, Reasoning, Text
from oss_plugins.serve.answers import calls_with_ids, logprobs_json, new_id, usage_json
from oss_plugins.serve.asks import chat_ask, completion_asks
from oss_plugins.serve.errors import refused
from oss_plugins.serve.jsons import decode
from oss_plugins.serve.schemas import ChatBody, CompletionBody
from oss_plugins.serve.work import DONE, Stream, Whole, event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from oss.turn.events import Event
    from oss_plugins.serve.asks import Ask
    from oss_plugins.serve.catalogue import Served
    from oss_plugins.serve.service import Service
    from oss_plugins.serve.work import Work

Json = dict[str, Any]


class Answers:
    """The answers that one request wants, made at the same time.

    :param chat: the shape of chat, or that of ``/v1/completions``.
    """

    def __init__(
        self,
        service: Service,
        served: Served,
        asks: list[Ask],
        *,
        chat: bool,
        usage: bool,
        n: int = 1,
    ) -> None:
        self._service = service
        self._served = served
        self._asks = asks
        self._chat = chat
        self._usage = usage
        self._n = n
        self._came = time.monotonic()
        kind = "chat.completion" if chat else "text_completion"
        self._head: Json = {
            "id": new_id("chatcmpl-" if chat else "cmpl-"),
            "object": kind,
            "created": int(time.time()),
            "model": served.name,
            "system_fingerprint": f"oss-{served.session.ingredients.resolved.hash[:12]}",
        }

    async def whole(self) -> Json:
        """All of it as one object."""
        made = [_Choice(index) for index in range(len(self._asks))]
        async with aclosing(self._events()) as events:
            async for index, happened in events:
                made[index].add(happened)
        choices = [choice.json(self._chat, self._asks[choice.index]) for choice in made]
        usage = usage_json([choice.usage for choice in made], self._n)
        found: Json = {**self._head, "choices": choices, "usage": usage}
        if notices := list(dict.fromkeys(line for choice in made for line in choice.notices)):
            found["notices"] = notices
        return found

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The same as server-sent events."""
        head = dict(self._head)
        if self._chat:
            head["object"] = "chat.completion.chunk"
        usages: list[Usage] = []
        begun: set[int] = set()
        async with aclosing(self._events()) as events:
            async for index, happened in events:
                logprobs: tuple[TokenLogprob, ...] = ()
                delta: Json = {}
                finish = None
                extra: Json = {}
                if isinstance(happened, Text):
                    delta = {"content": happened.text}
                    logprobs = happened.logprobs
                elif isinstance(happened, Reasoning):
                    delta = {"reasoning_content": happened.text}
                elif isinstance(happened, Notice):
                    extra = {"notices": [happened.message]}
                elif isinstance(happened, Done):
                    usages.append(happened.usage)
                    finish = _finish(happened)
                    if finish == "tool_calls":
                        calls = calls_with_ids(happened.messages[-1].tool_calls)
                        delta = {"tool_calls": [{"index": i, **c} for i, c in enumerate(calls)]}
                else:
                    continue
                if self._chat and index not in begun:
                    begun.add(index)
                    first = {"role": "assistant", "content": ""}
                    yield event({**head, "choices": [self._choice(index, first, (), None)]})
                if not self._chat and "reasoning_content" in delta:
                    continue
                if finish == "tool_calls":
                    yield event({**head, "choices": [self._choice(index, delta, (), None)]})
                    delta = {}
                choice = self._choice(index, delta, logprobs, finish)
                yield event({**head, "choices": [choice], **extra})
        if self._usage:
            yield event({**head, "choices": [], "usage": usage_json(usages, self._n)})
        yield DONE

    def _choice(
        self, index: int, delta: Json, logprobs: tuple[TokenLogprob, ...], finish: str | None
    ) -> Json:
        if self._chat:
            found: Json = {"index": index, "delta": delta, "finish_reason": finish}
            found["logprobs"] = logprobs_json(logprobs) if logprobs else None
            return found
        return {
            "index": index,
            "text": delta.get("content", ""),
            "finish_reason": finish,
            "logprobs": _old_logprobs(logprobs) if logprobs else None,
        }

    async def _events(self) -> AsyncGenerator[tuple[int, Event], None]:
        """The events of all answers, as they come, each with its answer's index."""
        async with self._service.engine(self._served) as engine:
            if len(self._asks) == 1:
                only = self._service.answer(self._served, self._asks[0], engine, self._came)
                async with aclosing(only):
                    async for happened in only:
                        yield 0, happened
                return
            arrived: asyncio.Queue[tuple[int, Event] | None] = asyncio.Queue()
            room = asyncio.Semaphore(self._service.settings.parallel)

            async def run(index: int, ask: Ask) -> None:
                try:
                    async with room:
                        events = self._service.answer(self._served, ask, engine, self._came)
                        async with aclosing(events):
                            async for happened in events:
                                arrived.put_nowait((index, happened))
                finally:
                    arrived.put_nowait(None)

            tasks = [asyncio.create_task(run(i, ask)) for i, ask in enumerate(self._asks)]
            try:
                ended = 0
                while ended < len(tasks):
                    happening = await arrived.get()
                    if happening is None:
                        ended += 1
                        failed = [t for t in tasks if t.done() and not t.cancelled()]
                        for task in failed:
                            task.result()
                    else:
                        yield happening
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


class _Choice:
    """One answer while it comes."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.text = ""
        self.reasoning = ""
        self.logprobs: list[TokenLogprob] = []
        self.notices: list[str] = []
        self.usage = Usage()
        self._done: Done | None = None

    def add(self, happened: Event) -> None:
        if isinstance(happened, Text):
            self.text += happened.text
            self.logprobs += happened.logprobs
        elif isinstance(happened, Reasoning):
            self.reasoning += happened.text
        elif isinstance(happened, Notice):
            self.notices.append(happened.message)
        elif isinstance(happened, Done):
            self._done = happened
            self.usage = happened.usage

    def json(self, chat: bool, ask: Ask) -> Json:
        assert self._done is not None  # noqa: S101  a turn ends with it, or raises
        finish = _finish(self._done)
        found: Json = {"index": self.index, "finish_reason": finish}
        asked = ask.logprobs is not None
        if not chat:
            found["text"] = self.text
            found["logprobs"] = _old_logprobs(self.logprobs) if asked else None
            return found
        message: Json = {"role": "assistant", "content": self.text, "refusal": None}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if finish == "tool_calls":
            message["tool_calls"] = calls_with_ids(self._done.messages[-1].tool_calls)
            message["content"] = self.text or None
        found["message"] = message
        found["logprobs"] = logprobs_json(self.logprobs) if asked else None
        return found


def _finish(done: Done) -> str:
    return "stop" if done.finish_reason == "cancelled" else done.finish_reason


def _old_logprobs(entries: list[TokenLogprob] | tuple[TokenLogprob, ...]) -> Json:
    """The shape that ``/v1/completions`` has for them."""
    offsets, at = [], 0
    for entry in entries:
        offsets.append(at)
        at += len(entry.token)
    return {
        "tokens": [entry.token for entry in entries],
        "token_logprobs": [max(entry.logprob, -9999.0) for entry in entries],
        "top_logprobs": [dict(entry.top) for entry in entries],
        "text_offset": offsets,
    }


def chat_work(service: Service, raw: bytes) -> Work:
    """Answer ``POST /v1/chat/completions``."""
    body = decode(raw, ChatBody)
    ask = chat_ask(body, service.settings)
    return _work(service, body, [ask], chat=True)


def completion_work(service: Service, raw: bytes) -> Work:
    """Answer ``POST /v1/completions``."""
    body = decode(raw, CompletionBody)
    asks = completion_asks(body, service.settings)
    return _work(service, body, asks, chat=False)


def _work(
    service: Service, body: ChatBody | CompletionBody, asks: list[Ask], *, chat: bool
) -> Work:
    n = body.n or 1
    if n * len(asks) > service.settings.max_n * (1 if chat else len(asks)):
        raise refused(f"n is at most {service.settings.max_n}", "n")
    served = service.check(asks[0])
    for ask in asks[1:]:
        service.check(ask)
    every = [ask.with_seed(offset) for ask in asks for offset in range(n)]
    usage = bool(body.stream_options and body.stream_options.include_usage)
    answers = Answers(service, served, every, chat=chat, usage=usage, n=n)
    if body.stream:
        return Stream(answers.stream(), service.metrics)
    return Whole(answers.whole(), service.metrics)
