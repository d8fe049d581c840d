"""From the bodies of requests to what a turn is asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oss.contracts.chat import Sampling
from oss.contracts.messages import Message, ToolCall, ToolSpec
from oss_plugins.serve.errors import refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from oss.contracts.chat import Effort
    from oss_plugins.serve.schemas import (
        ChatBody,
        ChatMessage,
        Common,
        CompletionBody,
        Item,
        Part,
        ResponseBody,
    )
    from oss_plugins.serve.settings import Settings

TEXT_PARTS = ("text", "input_text", "output_text")


@dataclass(frozen=True)
class Ask:
    """One answer that is wanted.

    :param history: the conversation before the user's last message.
    :param tail: what follows it: calls of tools and their results.
    :param sampling: only what the request sets.
    """

    model: str
    system: str
    history: tuple[Message, ...]
    prompt: str
    tail: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    tools: tuple[ToolSpec, ...] = ()
    choice: str = "auto"
    json_schema: Mapping[str, Any] | None = None
    logprobs: int | None = None
    effort: Effort | None = None
    scales: Mapping[str, float] = field(default_factory=dict)

    def with_seed(self, offset: int) -> Ask:
        """The same with another draw, for the further answers of ``n``."""
        seed = self.sampling.seed
        if seed is None or offset == 0:
            return self
        return replace(self, sampling=replace(self.sampling, seed=seed + offset))


def chat_ask(body: ChatBody, settings: Settings) -> Ask:
    """The ask of ``/v1/chat/completions``.

    :raises ApiError: something in it cannot be heeded.
    """
    for name in ("functions", "audio", "web_search_options"):
        if getattr(body, name):
            raise refused(f"'{name}' is not supported", name)
    if body.modalities not in (None, [], ["text"]):
        raise refused("this server answers with text alone", "modalities")
    tools = []
    for index, tool in enumerate(body.tools or ()):
        if tool.type != "function" or tool.function is None:
            raise refused("tools are of the type 'function' here", f"tools[{index}]")
        function = tool.function
        tools.append(_spec(function.name, function.description, function.parameters, index))
    choice = body.tool_choice or "auto"
    if not isinstance(choice, str):
        choice = _named(choice.function.name)
    elif choice not in ("auto", "none", "required"):
        raise refused(f"tool_choice '{choice}' is unknown", "tool_choice")
    schema = None
    if body.response_format is not None and body.response_format.type == "json_object":
        schema = {"type": "object"}
    elif body.response_format is not None and body.response_format.type == "json_schema":
        named = body.response_format.json_schema
        if named is None or named.schema is None:
            raise refused("json_schema.schema is absent", "response_format")
        schema = _schema(named.schema, "response_format.json_schema.schema")
    messages = [_chat_message(m, f"messages[{i}]") for i, m in enumerate(body.messages)]
    logprobs = None
    if body.logprobs:
        logprobs = body.top_logprobs or 0
    elif body.top_logprobs:
        raise refused("top_logprobs needs logprobs: true", "top_logprobs")
    return replace(
        _conversation(body.model, messages, settings),
        sampling=_sampling(body, body.max_completion_tokens or body.max_tokens),
        tools=tuple(tools),
        choice=_checked_choice(choice, tools),
        json_schema=schema,
        logprobs=logprobs,
        effort=body.reasoning_effort,
        scales=body.adapter_scales or {},
    )


def completion_asks(body: CompletionBody, settings: Settings) -> list[Ask]:
    """One ask for each prompt of ``/v1/completions``.

    :raises ApiError: something in it cannot be heeded.
    """
    if body.echo:
        raise refused("echo is not supported", "echo")
    if body.suffix:
        raise refused("suffix is not supported: no engine here fills in the middle", "suffix")
    if body.best_of not in (None, 1, body.n or 1):
        raise refused("best_of is not supported; n is", "best_of")
    prompts = texts(body.prompt, "prompt", settings)
    shared = _sampling(body, body.max_tokens)
    return [
        replace(
            _conversation(body.model, [Message("user", prompt)], settings),
            sampling=shared,
            logprobs=body.logprobs,
            scales=body.adapter_scales or {},
        )
        for prompt in prompts
    ]


def response_ask(body: ResponseBody, settings: Settings) -> Ask:
    """The ask of ``/v1/responses``.

    :raises ApiError: something in it cannot be heeded.
    """
    for name in ("previous_response_id", "conversation", "prompt"):
        if getattr(body, name):
            raise refused(
                f"'{name}' is not supported: this server keeps nothing, send the whole input", name
            )
    if body.background:
        raise refused("background is not supported", "background")
    tools = []
    for index, tool in enumerate(body.tools or ()):
        if tool.type != "function" or not tool.name:
            raise refused("tools are of the type 'function' here", f"tools[{index}]")
        tools.append(_spec(tool.name, tool.description, tool.parameters, index))
    choice = body.tool_choice or "auto"
    if not isinstance(choice, str):
        choice = _named(choice.name or "")
    elif choice not in ("auto", "none", "required"):
        raise refused(f"tool_choice '{choice}' is unknown", "tool_choice")
    schema = None
    wanted = body.text.format if body.text else None
    if wanted is not None and wanted.type == "json_object":
        schema = {"type": "object"}
    elif wanted is not None and wanted.type == "json_schema":
        if wanted.schema is None:
            raise refused("text.format.schema is absent", "text.format")
        schema = _schema(wanted.schema, "text.format.schema")
    messages = [Message("system", body.instructions)] if body.instructions else []
    if isinstance(body.input, str):
        messages.append(Message("user", body.input))
    else:
        messages += _items(body.input)
    return replace(
        _conversation(body.model, messages, settings),
        sampling=Sampling(
            temperature=body.temperature, top_p=body.top_p, max_tokens=body.max_output_tokens
        ),
        tools=tuple(tools),
        choice=_checked_choice(choice, tools),
        json_schema=schema,
        effort=body.reasoning.effort if body.reasoning else None,
    )


def texts(given: str | Sequence[Any], param: str, settings: Settings) -> list[str]:
    """One text or several; not empty.

    :raises ApiError: token numbers, nothing, or too many.
    """
    found = [given] if isinstance(given, str) else list(given)
    if not found:
        raise refused(f"'{param}' is empty", param)
    if len(found) > settings.max_messages:
        raise refused(f"'{param}' has {len(found)} texts, at most {settings.max_messages}", param)
    if not all(isinstance(text, str) for text in found):
        raise refused(f"'{param}' must be text: tokens are numbered differently here", param)
    if not all(text.strip() for text in found):
        raise refused(f"'{param}' has an empty text", param)
    return found


def _conversation(model: str, messages: list[Message], settings: Settings) -> Ask:
    if len(messages) > settings.max_messages:
        raise refused(
            f"the conversation has {len(messages)} messages, at most {settings.max_messages}",
            "messages",
        )
    # Most chat templates know one system message, the first; some drop later ones in silence.
    system = "\n\n".join(m.content for m in messages if m.role == "system" and m.content)
    rest = [m for m in messages if m.role != "system"]
    if not rest:
        rest, system = [Message("user", system)], ""
    last = max((i for i, m in enumerate(rest) if m.role == "user"), default=None)
    if last is None or not (rest[last].content.strip()):
        raise refused("there is no text of the user's to answer", "messages")
    tail = rest[last + 1 :]
    if tail and tail[-1].role != "tool":
        raise refused("the last message must be a user's or a tool's", "messages")
    return Ask(model, system, tuple(rest[:last]), rest[last].content, tuple(tail))


def _chat_message(given: ChatMessage, where: str) -> Message:
    if given.role == "function":
        raise refused("the role 'function' is not supported; 'tool' is", where)
    text = _text(given.content, f"{where}.content")
    if given.role == "tool" and not given.tool_call_id:
        raise refused("a tool's message needs tool_call_id", f"{where}.tool_call_id")
    return Message(
        "system" if given.role == "developer" else given.role,
        text,
        name=given.name,
        reasoning=(given.reasoning_content or "") if given.role == "assistant" else "",
        tool_calls=tuple(
            ToolCall(call.id, call.function.name, call.function.arguments)
            for call in given.tool_calls or ()
        ),
        tool_call_id=given.tool_call_id,
    )


def _items(items: Iterable[Item]) -> list[Message]:
    """Messages of the input of ``/v1/responses``; calls that follow each other are one message."""
    found: list[Message] = []
    for index, item in enumerate(items):
        where = f"input[{index}]"
        if item.type == "message":
            if item.role is None:
                raise refused("a message needs a role", where)
            role = "system" if item.role == "developer" else item.role
            found.append(Message(role, _text(item.content, f"{where}.content")))
        elif item.type == "function_call":
            if not item.call_id or not item.name:
                raise refused("a function_call needs call_id and name", where)
            call = ToolCall(item.call_id, item.name, item.arguments or "")
            before = found[-1] if found else None
            if before is not None and before.role == "assistant":
                found[-1] = replace(before, tool_calls=(*before.tool_calls, call))
            else:
                found.append(Message("assistant", tool_calls=(call,)))
        elif item.type == "function_call_output":
            if not item.call_id:
                raise refused("a function_call_output needs call_id", where)
            text = _text(item.output, f"{where}.output")
            found.append(Message("tool", text, tool_call_id=item.call_id))
        elif item.type != "reasoning":  # of an earlier answer; models do not want it back
            raise refused(f"items of type '{item.type}' are not supported", where)
    return found


def _text(content: str | list[Part] | None, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    found = []
    for index, part in enumerate(content):
        if part.type == "refusal":
            found.append(part.refusal or "")
        elif part.type in TEXT_PARTS and part.text is not None:
            found.append(part.text)
        else:
            raise refused(
                f"parts of type '{part.type}' are not supported: this server takes text alone and "
                "fetches nothing",
                f"{where}[{index}]",
            )
    return "\n".join(found)


def _sampling(body: Common, max_tokens: int | None) -> Sampling:
    if body.logit_bias:
        raise refused("logit_bias is not supported", "logit_bias")
    stop = [body.stop] if isinstance(body.stop, str) else list(body.stop or ())
    if len(stop) > 16 or not all(stop):
        raise refused("stop takes up to 16 texts that are not empty", "stop")
    return Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        min_p=body.min_p,
        repeat_penalty=body.repeat_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=body.seed,
        max_tokens=max_tokens,
        stop=tuple(stop),
    )


def _spec(name: str, text: str | None, parameters: dict[str, Any] | None, index: int) -> ToolSpec:
    schema = parameters or {"type": "object", "properties": {}}
    return ToolSpec(name, text or "", _schema(schema, f"tools[{index}].parameters"))


def _schema(given: dict[str, Any], where: str) -> dict[str, Any]:
    from oss.turn.json_schema import check_schema

    check_schema(given, where)
    return given


def _named(name: str) -> str:
    if name in ("auto", "none", "required", ""):
        raise refused(f"tool_choice cannot name '{name}'", "tool_choice")
    return name


def _checked_choice(choice: str, tools: Sequence[ToolSpec]) -> str:
    if choice in ("auto", "none"):
        return choice
    if not tools or (choice != "required" and choice not in {tool.name for tool in tools}):
        raise refused(f"tool_choice '{choice}' needs that tool among the tools", "tool_choice")
    return choice
