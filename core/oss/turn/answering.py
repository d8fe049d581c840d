"""The second half of a turn: the model answers, tools run, until there is an answer."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from oss.contracts.chat import Timings, Usage
from oss.contracts.messages import Message
from oss.turn.events import Done, Event, Notice, Reasoning, Text, ToolCalled, ToolReturned
from oss.turn.tools import CallCollector, Consent, ToolBox, result_message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from oss.contracts.chat import ChatRequest, Delta, FinishReason
    from oss.turn.budget import Budget
    from oss.turn.citations import CitationFilter

MALFORMED_CALLS = 2
"""After so many wrong tool calls in one turn the model has to answer without tools."""


@dataclass
class Answering:
    """One answer.

    :param make_request: from messages and a tool choice to a request.
    :param rounds: how many times the model may call tools.
    :param timings: what was spent before.
    :param choice: ``tool_choice`` of the first request.
    :param citations: takes marks of passages that there are not out of the answer.
    """

    budget: Budget
    tools: ToolBox
    make_request: Callable[[tuple[Message, ...], str], ChatRequest]
    rounds: int
    consent: Consent | None
    json_schema: Mapping[str, Any] | None
    timings: Timings
    choice: str = "auto"
    citations: CitationFilter | None = None
    _usage: Usage = field(default_factory=Usage)
    _malformed: int = 0

    async def run(
        self, messages: tuple[Message, ...], user: Message
    ) -> AsyncGenerator[Event, None]:
        """The events from here to the end of the turn.

        :param user: the user's message as the conversation keeps it.
        """
        added = [user]
        called = 0
        while True:
            may_call = called < self.rounds and self._malformed < MALFORMED_CALLS
            choice = self.choice if called == 0 else "auto"
            request = self.make_request(messages, choice if may_call else "none")
            text, thought = "", ""
            finish: FinishReason = "stop"
            collector = CallCollector()
            stream = cast("AsyncGenerator[Delta, None]", self.budget.engine.chat(request))
            async with aclosing(stream) as deltas:
                async for delta in deltas:
                    if delta.reasoning:
                        thought += delta.reasoning
                        yield Reasoning(delta.reasoning)
                    content = delta.content
                    if self.citations is not None:
                        content = self.citations.feed(content)
                    if content or delta.logprobs:
                        text += content
                        yield Text(content, delta.logprobs)
                    collector.add(delta.tool_calls)
                    finish = delta.finish_reason or finish
                    self._measure(delta)
            if self.citations is not None and (rest := self.citations.end()):
                text += rest
                yield Text(rest)
            calls = collector.calls() if may_call else ()
            # Own tools do not run beside those of others: their results would be lost on the way.
            handed = self.tools.foreign(calls)
            calls = handed or calls
            answer = Message("assistant", text, reasoning=thought, tool_calls=calls)
            added.append(answer)
            if not calls or handed:
                break
            called += 1
            results = []
            for call in calls:
                yield ToolCalled(call)
                outcome = await self.tools.run(call, self.consent)
                self._malformed += outcome.malformed
                yield ToolReturned(call, outcome.text, outcome.failed, outcome.unasked)
                results.append(result_message(call, outcome))
            sent = len(messages)
            messages, notices = await self.budget.fit_results((*messages, answer, *results), sent)
            added += messages[sent + 1 :]
            for line in notices:
                yield Notice(line)
            if called == self.rounds or self._malformed >= MALFORMED_CALLS:
                yield Notice(
                    f"no more tools in this turn: {called} rounds of calls, "
                    f"{self._malformed} calls wrong"
                )
        yield Done(
            messages=tuple(added),
            prompt=request.messages,
            finish_reason="stop" if finish == "tool_calls" and not handed else finish,
            usage=self._usage,
            timings=self.timings,
            schema_problem=self._schema_problem(text),
        )

    def _measure(self, delta: Delta) -> None:
        if new := delta.usage:
            done = self._usage.completion_tokens + new.completion_tokens
            self._usage = Usage(new.prompt_tokens, done, new.cached_tokens)
        if took := delta.timings:
            before = self.timings
            self.timings = Timings(
                before.load_s,
                before.first_token_s or took.first_token_s,
                before.prompt_s + took.prompt_s,
                before.generate_s + took.generate_s,
            )

    def _schema_problem(self, answer: str) -> str | None:
        if self.json_schema is None:
            return None
        from oss.turn.json_schema import problem_with

        return problem_with(answer, self.json_schema)
