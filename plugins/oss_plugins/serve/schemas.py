"""The requests that are understood; the OpenAPI document is made from these.

Unknown fields are ignored, as the API does; fields that would change the answer and cannot be
heeded are named here and refused where they are set. Source:
https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Temperature = Annotated[float, Meta(ge=0, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Effort = Literal["none", "minimal", "low", "medium", "high"]
Top = Annotated[int, Meta(ge=0, le=20)]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """An object of a request."""


class Part(Body, frozen=True, kw_only=True):
    """A part of a message; texts alone are understood."""

    type: str
    text: str | None = None
    refusal: str | None = None


class FunctionCall(Body, frozen=True, kw_only=True):
    """What a call calls; ``arguments`` is JSON text."""

    name: str
    arguments: str = ""


class Call(Body, frozen=True, kw_only=True):
    """A tool call of an earlier answer."""

    id: str
    function: FunctionCall
    type: str = "function"


class ChatMessage(Body, frozen=True, kw_only=True):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None


class Function(Body, frozen=True, kw_only=True):
    """A function that the client runs."""

    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Body, frozen=True, kw_only=True):
    """A tool of a chat request; functions alone are understood."""

    type: str
    function: Function | None = None


class NamedFunction(Body, frozen=True, kw_only=True):
    """The name of a function."""

    name: str


class ToolChoice(Body, frozen=True, kw_only=True):
    """The tool that has to be called."""

    type: str
    function: NamedFunction


class NamedSchema(Body, frozen=True, kw_only=True):
    """A JSON Schema with a name."""

    schema: dict[str, Any] | None = None
    name: str = "answer"
    strict: bool | None = None


class ResponseFormat(Body, frozen=True, kw_only=True):
    """What form the answer has."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StreamOptions(Body, frozen=True, kw_only=True):
    """What a stream tells besides."""

    include_usage: bool | None = None


class Common(Body, frozen=True, kw_only=True):
    """Settings that chat and completions share. ``top_k``, ``min_p``, ``repeat_penalty`` and
    ``adapter_scales`` are not OpenAI's.
    """

    model: str
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    min_p: Share | None = None
    repeat_penalty: Annotated[float, Meta(ge=0, le=10)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: Seed | None = None
    stop: str | list[str] | None = None
    n: Count | None = None
    max_tokens: Count | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logit_bias: dict[str, float] | None = None
    adapter_scales: dict[str, float] | None = None


class ChatBody(Common, frozen=True, kw_only=True):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    max_completion_tokens: Count | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Top | None = None
    reasoning_effort: Effort | None = None
    modalities: list[str] | None = None
    functions: list[Any] | None = None
    audio: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None


class CompletionBody(Common, frozen=True, kw_only=True):
    """``POST /v1/completions``. The prompt is answered as a message of the user's."""

    prompt: str | list[str | int | list[int]]
    logprobs: Top | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: Count | None = None


class EmbeddingBody(Body, frozen=True, kw_only=True):
    """``POST /v1/embeddings``."""

    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Count | None = None


class Item(Body, frozen=True, kw_only=True):
    """One thing of the input of ``/v1/responses``: a message, a call, the result of one."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[Part] | None = None


class FlatTool(Body, frozen=True, kw_only=True):
    """A tool of ``/v1/responses``; functions alone are understood."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FlatChoice(Body, frozen=True, kw_only=True):
    """The tool that has to be called."""

    type: str
    name: str | None = None


class TextFormat(Body, frozen=True, kw_only=True):
    """What form the answer has."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class TextSettings(Body, frozen=True, kw_only=True):
    """``text`` of ``/v1/responses``."""

    format: TextFormat | None = None


class ReasoningSettings(Body, frozen=True, kw_only=True):
    """How much to think."""

    effort: Effort | None = None


class ResponseBody(Body, frozen=True, kw_only=True):
    """``POST /v1/responses``. Nothing is kept: each request brings the whole conversation."""

    model: str
    input: str | list[Item]
    instructions: str | None = None
    max_output_tokens: Count | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    tools: list[FlatTool] | None = None
    tool_choice: str | FlatChoice | None = None
    text: TextSettings | None = None
    reasoning: ReasoningSettings | None = None
    stream: bool | None = None
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
