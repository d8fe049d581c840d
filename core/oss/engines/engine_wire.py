"""What an engine is asked and what it answers, as JSON between two processes of this machine."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from oss.contracts import errors
from oss.contracts.backend import Capability, EngineInfo
from oss.contracts.chat import (
    ChatRequest,
    Delta,
    Sampling,
    Timings,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)
from oss.contracts.messages import ToolSpec
from oss.contracts.wire import message_from_wire, message_to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]


def request_to_wire(request: ChatRequest) -> Json:
    """A request as JSON."""
    return {
        "messages": [message_to_wire(message) for message in request.messages],
        "sampling": asdict(request.sampling),
        "tools": [asdict(tool) for tool in request.tools],
        "tool_choice": request.tool_choice,
        "json_schema": request.json_schema,
        "logprobs": request.logprobs,
        "effort": request.effort,
        "adapter_scales": dict(request.adapter_scales),
    }


def request_from_wire(wire: Mapping[str, Any]) -> ChatRequest:
    """The request of such JSON.

    :raises KeyError: a field is absent.
    :raises TypeError: a field is unknown.
    """
    sampling = {**wire["sampling"], "stop": tuple(wire["sampling"]["stop"])}
    return ChatRequest(
        messages=tuple(message_from_wire(message) for message in wire["messages"]),
        sampling=Sampling(**sampling),
        tools=tuple(ToolSpec(**tool) for tool in wire["tools"]),
        tool_choice=wire["tool_choice"],
        json_schema=wire["json_schema"],
        logprobs=wire["logprobs"],
        effort=wire["effort"],
        adapter_scales=wire["adapter_scales"],
    )


def delta_to_wire(delta: Delta) -> Json:
    """A delta as JSON, without what is empty in it."""
    plain = {field.name: getattr(delta, field.name) for field in fields(delta)}
    found = {name: value for name, value in plain.items() if value}
    for name in ("usage", "timings"):
        if name in found:
            found[name] = asdict(found[name])
    for name in ("tool_calls", "logprobs"):
        if name in found:
            found[name] = [asdict(each) for each in found[name]]
    return found


def delta_from_wire(wire: Mapping[str, Any]) -> Delta:
    """The delta of such JSON."""
    return Delta(
        content=wire.get("content", ""),
        reasoning=wire.get("reasoning", ""),
        tool_calls=tuple(ToolCallDelta(**call) for call in wire.get("tool_calls", ())),
        logprobs=tuple(
            TokenLogprob(each["token"], each["logprob"], tuple((t, p) for t, p in each["top"]))
            for each in wire.get("logprobs", ())
        ),
        finish_reason=wire.get("finish_reason"),
        usage=Usage(**wire["usage"]) if "usage" in wire else None,
        timings=Timings(**wire["timings"]) if "timings" in wire else None,
    )


def info_to_wire(info: EngineInfo) -> Json:
    """What an engine says of itself, as JSON."""
    return {
        "backend": info.backend,
        "model": info.model,
        "context": info.context,
        "capabilities": sorted(capability.value for capability in info.capabilities),
        "details": dict(info.details),
    }


def info_from_wire(wire: Mapping[str, Any]) -> EngineInfo:
    """The same from JSON."""
    return EngineInfo(
        wire["backend"],
        wire["model"],
        wire["context"],
        frozenset(Capability(name) for name in wire["capabilities"]),
        wire["details"],
    )


def error_to_wire(error: errors.OssError) -> Json:
    """An error as JSON; of a class that the other side does not know, the nearest that it does."""
    kind = next(c for c in type(error).__mro__ if getattr(errors, c.__name__, None) is c)
    return {"kind": kind.__name__, "message": error.message, "hint": error.hint}


def error_from_wire(wire: Mapping[str, Any]) -> errors.OssError:
    """The error of such JSON."""
    kind = getattr(errors, str(wire["kind"]), errors.BackendError)
    made: errors.OssError = kind(str(wire["message"]), hint=wire["hint"])
    return made
