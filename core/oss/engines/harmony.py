"""Reads gpt-oss's Harmony format, as the models write it rather than as it is specified.

An answer is a row of messages, each ``<|start|>role to=recipient<|channel|>name
<|constrain|>json<|message|>text<|end|>``; ``<|call|>`` ends a tool call, ``<|return|>`` the
answer. The prompt ends in ``<|start|>assistant``. What is met besides, and read here: a missing
end, a missing start, channel names leaked into tool names, a header that is cut off, arguments
without ``<|message|>``, and plain text without any channel.

Source: https://github.com/openai/harmony/blob/main/docs/format.md
"""

from __future__ import annotations

import re

from oss.contracts.chat import Delta, ToolCallDelta

_MARKER = re.compile(r"<\|(start|end|message|channel|constrain|return|call)\|>")
_UNFINISHED = re.compile(r"<(?:\|(?:[a-z]{0,9}(?:\|)?)?)?$")
_RECIPIENT = re.compile(r"to=\s*([^\s<|]+)")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_CHANNEL = re.compile(r"<\|channel\|>\s*([a-z]+)")
_ROLE = re.compile(r"\s*(?:assistant|system|developer|user|tool)?\s*")


class HarmonyParser:
    """Splits a streamed raw answer into thinking, answer and tool calls. Never raises.

    ``analysis`` is thinking; ``final``, and ``commentary`` to nobody (a word before a tool
    call), are the answer; a message to somebody is a tool call, given when it is complete.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._header: str | None = None
        self._channel = "final"
        self._recipient: str | None = None
        self._arguments = ""
        self._calls = 0
        self._fresh = True

    def feed(self, text: str) -> list[Delta]:
        """What a further piece of the raw answer brings."""
        self._pending += text
        found: list[Delta] = []
        while marker := _MARKER.search(self._pending):
            self._take(self._pending[: marker.start()], found)
            self._pending = self._pending[marker.end() :]
            self._turn(marker.group(1), found)
        cut = _UNFINISHED.search(self._pending)
        ready = self._pending[: cut.start()] if cut else self._pending
        self._pending = self._pending[len(ready) :]
        self._take(ready, found)
        return found

    def finish(self) -> list[Delta]:
        """What was held back when the answer ended."""
        found: list[Delta] = []
        self._take(self._pending, found)
        self._pending = ""
        self._end(found)
        return found

    def _take(self, text: str, found: list[Delta]) -> None:
        if self._header is not None:
            self._header += text
        elif self._recipient is not None:
            self._arguments += text
        else:
            if self._fresh:
                text = text.lstrip("\n")
            if text:
                self._fresh = False
                found.append(
                    Delta(reasoning=text) if self._channel == "analysis" else Delta(content=text)
                )

    def _turn(self, marker: str, found: list[Delta]) -> None:
        if marker == "message" and self._header is not None:
            self._open(self._header)
            self._header = None
        elif marker in ("end", "return", "call", "start"):
            self._end(found)
            self._header = ""
        elif self._header is None:  # a channel, without an end or a start before it
            self._end(found)
            self._header = f"<|{marker}|>"
        else:
            self._header += f"<|{marker}|>"

    def _open(self, header: str) -> None:
        recipient = _RECIPIENT.search(header)
        channel = _CHANNEL.search(header)
        self._channel = channel.group(1) if channel else "final"
        self._recipient = recipient.group(1) if recipient else None
        if self._recipient in ("user", "assistant", "all"):
            self._recipient = None
        self._arguments = ""
        self._fresh = True

    def _end(self, found: list[Delta]) -> None:
        """Close the message at hand: a call is given out, a header without text is looked at."""
        header, self._header = self._header, None
        if header is not None:
            self._headless(header, found)
        if self._recipient is not None:
            found.append(
                Delta(
                    tool_calls=(
                        ToolCallDelta(
                            self._calls,
                            f"call_{self._calls}",
                            tool_name(self._recipient),
                            self._arguments.strip() or "{}",
                        ),
                    )
                )
            )
            self._calls += 1
        self._recipient = None
        self._channel = "final"
        self._arguments = ""
        self._fresh = True

    def _headless(self, header: str, found: list[Delta]) -> None:
        """A header that no ``<|message|>`` closed: the text may follow it directly."""
        head, brace, rest = header.partition("{")
        if _RECIPIENT.search(head):
            if brace:
                self._open(head)
                self._arguments = brace + rest
        elif "<|channel|>" not in header and not _ROLE.fullmatch(header):
            found.append(Delta(content=header.strip()))


def tool_name(raw: str) -> str:
    """The tool that a recipient means: without its namespace and what leaked in behind it."""
    found = _NAME.match(raw.split("<|")[0].removeprefix("functions."))
    return found.group(0).strip(".") if found else raw


def is_harmony(template: str) -> bool:
    """Whether a chat template writes this format."""
    return "<|channel|>" in template and "<|message|>" in template
