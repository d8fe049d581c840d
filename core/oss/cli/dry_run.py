"""What `oss run --dry-run` prints."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from oss.contracts.wire import message_to_wire, tool_to_wire

if TYPE_CHECKING:
    from oss.turn.session import Plan


def plan_json(plan: Plan) -> str:
    """The plan as JSON: who would answer, and the request as it would be sent."""
    made, request = plan.ingredients, plan.request
    model = made.choice.model
    sampling = {k: v for k, v in asdict(request.sampling).items() if v not in (None, ())}
    out: dict[str, Any] = {
        "profile": made.resolved.name,
        "profile_hash": made.resolved.hash,
        "files": [str(path) for path in made.resolved.files],
        "model": {
            "name": model.name,
            "ref": model.ref,
            "format": model.format,
            "path": str(model.path) if model.path else None,
            "reason": made.choice.reason,
            "skipped": dict(made.choice.skipped),
        },
        "backend": {"name": made.backend_name, "options": dict(made.options)},
        "persona": made.persona,
        "adapters": [
            {"name": a.name, "path": str(a.path), "scale": a.scale} for a in made.adapters
        ],
        "request": {
            "messages": [message_to_wire(message) for message in request.messages],
            "sampling": sampling,
            "tools": [tool_to_wire(tool) for tool in request.tools],
            "tool_choice": request.tool_choice,
            "json_schema": request.json_schema,
            "effort": request.effort,
        },
        "tokens": "not counted: that needs the model",
    }
    return json.dumps(out, ensure_ascii=False, indent=2, default=str)
