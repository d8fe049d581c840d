"""What the screen knows of a turn; the inspector shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from oss.contracts.chat import Timings, Usage
from oss.turn.events import (
    Cited,
    Done,
    Event,
    Notice,
    PassagesFound,
    Reasoning,
    Text,
    ToolCalled,
    ToolReturned,
)
from oss.turn.replay import replay

if TYPE_CHECKING:
    from oss.contracts.messages import ToolCall
    from oss.contracts.retriever import Passage
    from oss.store import Turn

State = Literal["running", "done", "cancelled", "failed"]


@dataclass
class ToolUse:
    """A tool call, and its result once there is one."""

    call: ToolCall
    result: str | None = None
    failed: bool = False


@dataclass
class Record:
    """A turn, running or past.

    :ivar before: how many answered turns the conversation had before it.
    :ivar events: what is to be shown when it is put on the screen.
    :ivar context: tokens that prompt and answer may have together; 0 is unknown.
    """

    prompt: str
    before: int
    profile: str = ""
    model: str = ""
    backend: str = ""
    persona: str | None = None
    turn_id: int | None = None
    state: State = "running"
    error: str = ""
    hint: str = ""
    answer: str = ""
    reasoning: str = ""
    passages: tuple[Passage, ...] = ()
    left_out: tuple[Passage, ...] = ()
    cited: Cited | None = None
    tools: list[ToolUse] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    finish_reason: str | None = None
    context: int = 0
    events: list[Event] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Whether the next turn follows it."""
        return bool(self.answer)

    def again(self) -> list[Event]:
        """Events that show it once more."""
        events: list[Event] = []
        if self.passages or self.left_out:
            events.append(PassagesFound(self.passages, self.left_out))
        if self.reasoning:
            events.append(Reasoning(self.reasoning))
        for use in self.tools:
            events.append(ToolCalled(use.call))
            if use.result is not None:
                events.append(ToolReturned(use.call, use.result, use.failed))
        events += [Notice(line) for line in self.notices]
        if self.answer:
            events.append(Text(self.answer))
        if self.cited:
            events.append(self.cited)
        return events

    def take(self, event: Event) -> None:
        """Learn from an event."""
        match event:
            case Text(text=text):
                self.answer += text
            case Reasoning(text=text):
                self.reasoning += text
            case PassagesFound(passages=passages, left_out=left_out):
                self.passages, self.left_out = passages, left_out
            case Cited():
                self.cited = event
            case Notice(message=message):
                self.notices.append(message)
            case ToolCalled(call=call):
                self.tools.append(ToolUse(call))
                self.answer = ""  # what came before a call is no answer
            case ToolReturned(call=call, result=result, failed=failed):
                for use in self.tools:
                    if use.call == call:
                        use.result, use.failed = result, failed
            case Done():
                self.state = "done"
                self.answer = event.answer
                self.usage, self.timings = event.usage, event.timings
                self.finish_reason = event.finish_reason


def record_of(turn: Turn, before: int) -> Record:
    """A turn of the store."""
    setup = turn.setup
    record = Record(
        turn.prompt, before, setup.profile, setup.model, setup.backend, setup.persona, turn.id
    )
    for event in replay(turn):
        record.events.append(event)
        record.take(event)
    # What is 'running' in the store and not here was cut off when its process ended.
    record.state = "cancelled" if turn.state == "running" else turn.state
    record.error = turn.error or ""
    record.usage, record.timings = turn.usage, turn.timings
    record.finish_reason = turn.finish_reason
    return record


def records_of(turns: list[Turn]) -> list[Record]:
    """The turns of a conversation."""
    records = []
    before = 0
    for turn in turns:
        records.append(record_of(turn, before))
        before += turn.answered
    return records
