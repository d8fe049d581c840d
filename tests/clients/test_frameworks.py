"""LangChain, LlamaIndex, Haystack."""

from __future__ import annotations

import os
from typing import Any

import pytest

pytestmark = [
    pytest.mark.clients,
    pytest.mark.real,
    # The frameworks' own use of each other is theirs to mend.
    pytest.mark.filterwarnings("default"),
]
os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
os.environ.setdefault("LANGSMITH_TRACING", "false")


def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: the city's name
    """
    return f"It snows in {city}."


@pytest.fixture
def langchain(served: Any) -> Any:
    module = pytest.importorskip("langchain_openai")
    return module.ChatOpenAI(
        base_url=served.url, api_key="none", model=served.model, max_tokens=100, max_retries=0
    )


def test_langchain_chat(langchain: Any) -> None:
    answer = langchain.invoke("What is the capital of France?")
    assert "Paris" in answer.content
    assert answer.usage_metadata["output_tokens"] > 0
    text = "".join(chunk.content for chunk in langchain.stream("Say hello."))
    assert text


def test_langchain_tools(langchain: Any) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage

    bound = langchain.bind_tools([get_weather], tool_choice="get_weather")
    question = HumanMessage("What is the weather in Omsk?")
    answer = bound.invoke([question])
    assert answer.tool_calls[0]["name"] == "get_weather"
    assert "city" in answer.tool_calls[0]["args"]
    pieces = None
    for chunk in bound.stream([question]):
        pieces = chunk if pieces is None else pieces + chunk
    assert pieces.tool_calls[0]["name"] == "get_weather"
    result = ToolMessage("It snows.", tool_call_id=answer.tool_calls[0]["id"])
    assert langchain.invoke([question, answer, result]).content


def test_langchain_structured_output(langchain: Any) -> None:
    import pydantic

    class City(pydantic.BaseModel):
        name: str
        inhabitants: int

    found = langchain.with_structured_output(City).invoke("Paris has 2 million people.")
    assert isinstance(found, City)


def test_langchain_responses(served: Any) -> None:
    module = pytest.importorskip("langchain_openai")
    model = module.ChatOpenAI(
        base_url=served.url,
        api_key="none",
        model=served.model,
        use_responses_api=True,
        max_retries=0,
    )
    assert "Paris" in model.invoke("What is the capital of France?").text


def test_langchain_embeddings(served: Any) -> None:
    module = pytest.importorskip("langchain_openai")
    embedder = module.OpenAIEmbeddings(
        base_url=served.url, api_key="none", model=served.embedder, check_embedding_ctx_length=False
    )
    vectors = embedder.embed_documents(["раз два", "три"])
    assert len(vectors) == 2
    assert embedder.embed_query("раз два") == pytest.approx(vectors[0], abs=1e-6)


@pytest.fixture
def llama_index(served: Any) -> Any:
    module = pytest.importorskip("llama_index.llms.openai_like")
    return module.OpenAILike(
        api_base=served.url,
        api_key="none",
        model=served.model,
        max_tokens=100,
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=4096,
        max_retries=0,
    )


def test_llama_index_chat(llama_index: Any) -> None:
    from llama_index.core.llms import ChatMessage

    question = [ChatMessage(role="user", content="What is the capital of France?")]
    assert "Paris" in llama_index.chat(question).message.content
    assert "".join(piece.delta or "" for piece in llama_index.stream_chat(question))
    assert llama_index.complete("Say hello.").text


def test_llama_index_by_completions(served: Any) -> None:
    module = pytest.importorskip("llama_index.llms.openai_like")
    model = module.OpenAILike(
        api_base=served.url, api_key="none", model=served.model, max_tokens=16, max_retries=0
    )
    assert model.complete("Say hello.").text


def test_llama_index_tools(llama_index: Any) -> None:
    from llama_index.core.tools import FunctionTool

    tool = FunctionTool.from_defaults(get_weather)
    answer = llama_index.chat_with_tools(
        [tool], user_msg="What is the weather in Omsk?", tool_required=True
    )
    calls = llama_index.get_tool_calls_from_response(answer)
    assert calls[0].tool_name == "get_weather"
    assert "city" in calls[0].tool_kwargs


def test_llama_index_embeddings(served: Any) -> None:
    module = pytest.importorskip("llama_index.embeddings.openai_like")
    embedder = module.OpenAILikeEmbedding(
        api_base=served.url, api_key="none", model_name=served.embedder
    )
    assert len(embedder.get_text_embedding("раз два")) > 1


def haystack_generator(served: Any, **extra: Any) -> Any:
    module = pytest.importorskip("haystack.components.generators.chat")
    from haystack.utils import Secret

    return module.OpenAIChatGenerator(
        api_key=Secret.from_token("none"),
        model=served.model,
        api_base_url=served.url,
        generation_kwargs={"max_tokens": 100, "n": 1, **extra},
    )


def test_haystack(served: Any) -> None:
    generator = haystack_generator(served)
    from haystack.dataclasses import ChatMessage

    pieces: list[str] = []
    question = [ChatMessage.from_user("What is the capital of France?")]
    assert "Paris" in generator.run(question)["replies"][0].text
    generator.run(question, streaming_callback=lambda piece: pieces.append(piece.content))
    assert "Paris" in "".join(pieces)


def test_haystack_tools(served: Any) -> None:
    generator = haystack_generator(served, tool_choice="required")
    from haystack.dataclasses import ChatMessage
    from haystack.tools import create_tool_from_function

    tool = create_tool_from_function(get_weather)
    reply = generator.run([ChatMessage.from_user("Weather in Omsk?")], tools=[tool])["replies"][0]
    assert reply.tool_calls[0].tool_name == "get_weather"
    assert "city" in reply.tool_calls[0].arguments
