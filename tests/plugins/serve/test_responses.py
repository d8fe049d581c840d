from __future__ import annotations

import base64
import json
import struct
from typing import Any

from oss.contracts.errors import BackendError
from oss.contracts.messages import ToolCall
from oss.testing.fakes import FakeAnswer

TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PATH = "/v1/responses"


def test_text(live: Any) -> None:
    live.script.append(FakeAnswer("привет мир", reasoning="думаю"))
    body = {"model": "mine", "input": "hello", "instructions": "Be Bob.", "metadata": {"a": "b"}}
    status, found = live.post(PATH, body)
    assert status == 200
    assert found["status"] == "completed"
    assert [item["type"] for item in found["output"]] == ["reasoning", "message"]
    assert found["output"][1]["content"][0]["text"] == "привет мир"
    assert found["usage"]["output_tokens"] == 3
    assert found["metadata"] == {"a": "b"}
    assert live.engines[0].requests[0].messages[0].content == "Be kind.\n\nBe Bob."


def test_events(live: Any) -> None:
    live.script.append(FakeAnswer("a b", reasoning="c d"))
    found = live.events(PATH, {"model": "mine", "input": "x"})
    assert [e["sequence_number"] for e in found] == list(range(len(found)))
    names = [e["type"].removeprefix("response.") for e in found]
    assert names == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[-1]["response"]["output"][1]["content"][0]["text"] == "a b"
    assert found[0]["response"]["output"] == []


def test_calls_and_their_results(live: Any) -> None:
    live.script.append(FakeAnswer(tool_calls=(ToolCall("x", "weather", '{"city": "Омск"}'),)))
    found = live.events(PATH, {"model": "mine", "input": "weather?", "tools": [TOOL]})
    item = found[-1]["response"]["output"][0]
    assert item["type"] == "function_call"
    assert json.loads(item["arguments"]) == {"city": "Омск"}
    assert "response.function_call_arguments.done" in {e["type"] for e in found}
    live.script.append("rain")
    body = {
        "model": "mine",
        "tools": [TOOL],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "weather?"}]},
            {"type": "reasoning", "id": "r", "summary": []},
            {k: v for k, v in item.items() if k != "status"},
            {"type": "function_call_output", "call_id": item["call_id"], "output": "wet"},
        ],
    }
    status, answer = live.post(PATH, body)
    assert status == 200
    assert answer["output"][0]["content"][0]["text"] == "rain"
    sent = live.engines[0].requests[1].messages
    assert [m.role for m in sent] == ["system", "user", "assistant", "tool"]


def test_an_answer_that_is_cut(live: Any) -> None:
    live.script.append("a b c d e")
    _, found = live.post(PATH, {"model": "mine", "input": "x", "max_output_tokens": 2})
    assert found["status"] == "incomplete"
    assert found["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_schema(live: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"const": 4}}, "required": ["n"]}
    form = {"type": "json_schema", "name": "x", "schema": schema, "strict": True}
    _, found = live.post(PATH, {"model": "mine", "input": "x", "text": {"format": form}})
    assert json.loads(found["output"][0]["content"][0]["text"]) == {"n": 4}
    assert found["text"]["format"]["type"] == "json_schema"


def test_a_failure_in_the_middle(live: Any) -> None:
    live.script.append(FakeAnswer("a b", error=BackendError("gone")))
    found = live.events(PATH, {"model": "mine", "input": "x"})
    assert found[-1]["type"] == "response.failed"
    assert found[-1]["response"]["error"]["message"] == "gone"
    live.script.append(FakeAnswer(error=BackendError("gone")))
    assert live.post(PATH, {"model": "mine", "input": "x"})[0] == 502


def test_what_is_refused(live: Any) -> None:
    for extra in (
        {"previous_response_id": "resp_1"},
        {"background": True},
        {"conversation": "c"},
        {"tools": [{"type": "web_search"}]},
        {"input": []},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
        {"tool_choice": "sometimes"},
    ):
        status, found = live.post(PATH, {"model": "mine", "input": "x", **extra})
        assert status == 400, extra
        assert found["error"]["message"]


def test_embeddings(live: Any) -> None:
    body = {"model": "mine", "input": ["раз два", "три"]}
    status, found = live.post("/v1/embeddings", body)
    assert status == 200
    assert [row["index"] for row in found["data"]] == [0, 1]
    _, packed = live.post("/v1/embeddings", {**body, "encoding_format": "base64"})
    raw = base64.b64decode(packed["data"][0]["embedding"])
    vector = struct.unpack(f"<{len(raw) // 4}f", raw)
    assert all(
        abs(a - b) < 1e-6 for a, b in zip(vector, found["data"][0]["embedding"], strict=True)
    )
    assert found["usage"]["prompt_tokens"] > 0
    for wrong in ([], [""], [[1, 2]], [1, 2]):
        assert live.post("/v1/embeddings", {"model": "mine", "input": wrong})[0] == 400


def test_models_and_the_document(live: Any) -> None:
    found = json.loads(live.send("GET", "/v1/models").read())
    assert [entry["id"] for entry in found["data"]] == ["mine"]
    assert found["data"][0]["owned_by"] == "oss"
    live.chat()
    entry = json.loads(live.send("GET", "/v1/models/mine").read())
    assert entry["context_length"] == 4096
    document = json.loads(live.send("GET", "/openapi.json").read())
    assert "/v1/chat/completions" in document["paths"]
    assert "ChatBody" in document["components"]["schemas"]
    metrics = live.send("GET", "/metrics").read().decode()
    assert 'oss_completion_tokens_total{model="mine"}' in metrics


def test_a_changed_profile_is_read_again(live: Any, oss_home: Any) -> None:
    live.chat()
    oss_home.write(
        "config/profiles/mine.toml",
        """
        [model]
        name = "fake:one"
        [backend]
        name = "fake"
        [persona]
        system = "Будь строг."
        """,
    )
    live.chat()
    assert len(live.engines) == 1
    assert live.engines[0].requests[1].messages[0].content == "Будь строг."
