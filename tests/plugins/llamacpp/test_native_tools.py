"""A chat template that knows tools (Qwen's form), put over the starter model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.chat import Sampling
from oss.contracts.messages import Message
from oss.testing.conformance.asking import ADD, CAPITAL, WEATHER, Opened
from oss_plugins.llamacpp.backend import BINDINGS, LlamaCppBackend

from .conftest import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oss.contracts.model import LocalModel

pytestmark = pytest.mark.real

TEMPLATE = r"""
{%- if tools %}{{- '<|im_start|>system\n' }}
{%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{%- endif %}
{{- "\n\n# Tools\n\n<tools>" }}
{%- for tool in tools %}{{- "\n" }}{{- tool | tojson }}{%- endfor %}
{{- "\n</tools>\n\nFor each call return JSON within <tool_call></tool_call>:\n<tool_call>\n" }}
{{- '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call><|im_end|>\n' }}
{%- elif messages[0]['role'] == 'system' %}
{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}{%- endif %}
{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- elif message.role == 'assistant' %}{{- '<|im_start|>assistant' }}
{%- if message.content %}{{- '\n' + message.content }}{%- endif %}
{%- for tool_call in message.tool_calls or [] %}
{%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
{{- '\n<tool_call>\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
{{- tool_call.arguments | tojson }}{{- '}\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}
"""


@pytest.fixture(scope="module", params=list(BINDINGS))
def opened(request: pytest.FixtureRequest, starter: LocalModel) -> Iterator[Opened]:
    pytest.importorskip(BINDINGS[request.param])
    options: dict[str, Any] = {**DEFAULTS, "context": 1024, "threads": 1}
    options |= {"binding": request.param, "chat_template": TEMPLATE}
    opened = Opened(LlamaCppBackend(), starter, (), options)
    yield opened
    opened.close()


@pytest.mark.parametrize("choice", ["required", "add"])
def test_a_forced_call(opened: Opened, choice: str) -> None:
    found = opened.ask(
        CAPITAL, Sampling(temperature=0, max_tokens=120), tools=(WEATHER, ADD), tool_choice=choice
    )
    assert found.finish_reason == "tool_calls"
    assert isinstance(json.loads(found.calls[0].arguments), dict)
    assert choice == "required" or found.calls[0].name == choice
    assert "tool_call" not in found.content


def test_a_call_of_its_own_choice_is_no_text(opened: Opened) -> None:
    for prompt in ("What is the weather in Paris?", "Сложи 2 и 3."):
        found = opened.ask((Message("user", prompt),), tools=(WEATHER, ADD))
        assert (found.finish_reason == "tool_calls") == bool(found.calls)
        assert "<tool_call>" not in found.content


def test_the_prompt_has_the_tools_in_the_models_own_form(opened: Opened) -> None:
    assert opened.engine.native_tools  # type: ignore[attr-defined]
    found = opened.ask(CAPITAL, Sampling(temperature=0, max_tokens=4), tools=(WEATHER,))
    assert found.usage.prompt_tokens == opened.count(CAPITAL, (WEATHER,))
