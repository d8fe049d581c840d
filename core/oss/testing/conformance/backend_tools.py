"""What a backend that can call tools must do; part of
:class:`~oss.testing.conformance.backend.BackendConformance`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from oss.contracts.backend import Capability
from oss.contracts.chat import Sampling
from oss.contracts.messages import Message, ToolCall
from oss.testing.conformance.asking import ADD, CAPITAL, GREEDY, WEATHER

if TYPE_CHECKING:
    from oss.testing.conformance.asking import Opened


class ToolConformance:
    """The tests over tools."""

    def test_tools_required(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        asked = (Message("user", "What is the weather in Paris?"),)
        found = opened.ask(
            asked, Sampling(0, max_tokens=120), tools=(WEATHER, ADD), tool_choice="required"
        )
        assert found.finish_reason == "tool_calls"
        assert found.calls[0].name in ("get_weather", "add")
        assert isinstance(json.loads(found.calls[0].arguments), dict)
        assert found.content.strip() == ""

    def test_a_named_tool(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        found = opened.ask(
            CAPITAL, Sampling(0, max_tokens=120), tools=(WEATHER, ADD), tool_choice="add"
        )
        assert [call.name for call in found.calls] == ["add"]
        assert set(json.loads(found.calls[0].arguments)) == {"a", "b"}

    def test_tools_of_their_own_choice(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        for prompt in ("What is the weather in Paris?", "Say hello.", "Сложи 2 и 3."):
            found = opened.ask((Message("user", prompt),), tools=(WEATHER, ADD))
            assert (found.finish_reason == "tool_calls") == bool(found.calls)
            assert '"arguments"' not in found.content, "a call is no text"

    def test_no_tools(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        found = opened.ask(CAPITAL, tools=(WEATHER,), tool_choice="none")
        assert not found.calls
        assert found.content.strip()

    def test_tool_results_are_read(self, opened: Opened) -> None:
        opened.need(Capability.TOOLS)
        call = ToolCall("call_1", "get_weather", '{"city": "Париж"}')
        conversation = (
            Message("user", "What is the weather in Paris?"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "18 °C, дождь", name="get_weather", tool_call_id="call_1"),
        )
        found = opened.ask(conversation, tools=(WEATHER,), tool_choice="none")
        assert found.content.strip()
        more = opened.ask(conversation, replace(GREEDY, max_tokens=120), tools=(WEATHER,))
        assert more.content.strip() or more.calls
