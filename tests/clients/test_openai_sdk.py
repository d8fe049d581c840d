from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

openai = pytest.importorskip("openai")
pydantic = pytest.importorskip("pydantic")

WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Omsk", "Perm"]}},
    "required": ["city"],
    "additionalProperties": False,
}

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.clients, pytest.mark.real]

TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather.", "parameters": WEATHER_SCHEMA},
}


class City(pydantic.BaseModel):
    name: str
    inhabitants: int


@pytest.fixture
def client(served: Any) -> Iterator[Any]:
    with openai.OpenAI(base_url=served.url, api_key="none", max_retries=0) as found:
        yield found


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_models(client: Any) -> None:
    assert {model.id for model in client.models.list()} == {"tiny", "vectors"}
    assert client.models.retrieve("tiny").owned_by == "oss"


def test_chat(client: Any) -> None:
    answer = client.chat.completions.create(
        model="tiny", messages=user("What is the capital of France?"), logprobs=True, top_logprobs=2
    )
    assert "Paris" in answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    entry = answer.choices[0].logprobs.content[0]
    assert len(entry.top_logprobs) == 2
    assert entry.logprob <= 0


def test_a_stream(client: Any) -> None:
    stream = client.chat.completions.create(
        model="tiny",
        messages=user("Count to five."),
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=12,
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text.strip()
    assert chunks[-1].usage.completion_tokens == 12
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_tools(client: Any, stream: bool) -> None:
    ask = {
        "model": "tiny",
        "messages": user("What is the weather in Omsk?"),
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "max_tokens": 100,
    }
    if stream:
        with client.chat.completions.stream(**ask) as events:
            for _ in events:
                pass
            choice = events.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(**ask).choices[0]
    assert choice.finish_reason == "tool_calls"
    call = choice.message.tool_calls[0]
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Omsk", "Perm")
    answer = client.chat.completions.create(
        model="tiny",
        tools=[TOOL],
        tool_choice="none",
        messages=[
            *ask["messages"],  # type: ignore[misc]
            {
                "role": "assistant",
                "tool_calls": [call.model_dump(include={"id", "type", "function"})],
            },
            {"role": "tool", "tool_call_id": call.id, "content": "It snows."},
        ],
    )
    assert answer.choices[0].message.content


def test_the_helper_for_structured_output(client: Any) -> None:
    answer = client.chat.completions.parse(
        model="tiny",
        messages=user("Paris has 2 million people."),
        response_format=City,
        max_tokens=100,
    )
    assert isinstance(answer.choices[0].message.parsed, City)


def test_several_and_a_seed(client: Any) -> None:
    ask = {"model": "tiny", "messages": user("Name a colour."), "temperature": 1.5, "max_tokens": 8}
    one = client.chat.completions.create(**ask, n=3, seed=3)
    two = client.chat.completions.create(**ask, n=3, seed=3)
    texts = [choice.message.content for choice in one.choices]
    assert len(texts) == 3
    assert len(set(texts)) > 1
    assert texts[0] == two.choices[0].message.content


def test_responses(client: Any) -> None:
    answer = client.responses.create(model="tiny", input="What is the capital of France?")
    assert answer.status == "completed"
    assert "Paris" in answer.output_text
    assert answer.usage.output_tokens > 0


def test_responses_stream(client: Any) -> None:
    with client.responses.stream(
        model="tiny", input=[{"role": "user", "content": "What is the capital of France?"}]
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.output_text.delta" in kinds
    assert final.output_text


def test_responses_tools(client: Any) -> None:
    tool = {"type": "function", "name": "weather", "parameters": WEATHER_SCHEMA, "strict": True}
    answer = client.responses.create(
        model="tiny",
        input="What is the weather in Perm?",
        tools=[tool],
        tool_choice="required",
        max_output_tokens=100,
    )
    call = next(item for item in answer.output if item.type == "function_call")
    assert json.loads(call.arguments)["city"] in ("Omsk", "Perm")
    again = client.responses.create(
        model="tiny",
        tools=[tool],
        tool_choice="none",
        input=[
            {"role": "user", "content": "What is the weather in Perm?"},
            *[item.model_dump(exclude_none=True) for item in answer.output],
            {"type": "function_call_output", "call_id": call.call_id, "output": "It snows."},
        ],
    )
    assert again.output_text


def test_responses_parse(client: Any) -> None:
    answer = client.responses.parse(
        model="tiny", input="Paris has 2 million people.", text_format=City, max_output_tokens=100
    )
    assert isinstance(answer.output_parsed, City)


def test_embeddings(client: Any) -> None:
    one = client.embeddings.create(model="vectors", input=["раз два", "три"])  # base64 by default
    two = client.embeddings.create(model="vectors", input="раз два", encoding_format="float")
    assert one.data[0].embedding == pytest.approx(two.data[0].embedding, abs=1e-6)


def test_completions(client: Any) -> None:
    answer = client.completions.create(model="tiny", prompt="Say hello.", max_tokens=8)
    assert answer.choices[0].text


def test_errors_are_of_the_right_class(client: Any) -> None:
    with pytest.raises(openai.NotFoundError) as absent:
        client.chat.completions.create(model="nothing", messages=user("x"))
    assert absent.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model="tiny", messages=user("word " * 9000))
    assert long.value.code == "context_length_exceeded"
    part = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}
    picture = [{"role": "user", "content": [part]}]
    with pytest.raises(openai.BadRequestError, match="fetches nothing"):
        client.chat.completions.create(model="tiny", messages=picture)
    with pytest.raises(openai.BadRequestError, match="embeddings"):
        client.embeddings.create(model="tiny", input="x")


async def test_the_asynchronous_client_and_leaving(served: Any) -> None:
    import asyncio

    async with openai.AsyncOpenAI(base_url=served.url, api_key="none") as client:
        stream = await client.chat.completions.create(
            model="tiny", messages=user("Tell a long story."), stream=True, max_tokens=2000
        )
        async for _ in stream:
            break
        await stream.close()
        for _ in range(100):
            if "oss_requests_running 0.0" in served.metrics():
                break
            await asyncio.sleep(0.05)
        assert "oss_requests_running 0.0" in served.metrics()
