"""The plugin alone, and in the real program."""

from __future__ import annotations

import pytest

from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.errors import CapabilityError, ContextOverflowError
from oss.contracts.messages import Message, ToolSpec
from oss.plugins.manager import load_plugins
from oss.testing.conformance.backend import BackendConformance
from oss_echo.backend import EchoBackend
from oss_echo.persona import ECHO
from oss_echo.source import EchoSource


def opened(**options: object):
    model = EchoSource().find("any")
    return EchoBackend().open(model, (), {"context": 0, "upper": False, **options})


async def answer(engine, text: str, **settings) -> str:
    request = ChatRequest((Message("user", text),), **settings)
    return "".join([delta.content async for delta in engine.chat(request)])


def test_is_found_and_loads() -> None:
    plugins = load_plugins()
    assert plugins.broken == {}
    assert plugins.load("backends", "echo") is EchoBackend
    assert plugins.load("personas", "echo") is ECHO
    assert plugins.load("model_sources", "echo") is EchoSource


async def test_repeats() -> None:
    async with opened() as engine:
        assert await answer(engine, "Привет,  мир\n") == "Привет,  мир\n"
        assert await answer(engine, "a b c", sampling=Sampling(max_tokens=2)) == "a b"
        assert await answer(engine, "a b c", sampling=Sampling(stop=("b",))) == "a "
    async with opened(upper=True) as engine:
        assert await answer(engine, "тише") == "ТИШЕ"


async def test_refuses_what_it_cannot_do() -> None:
    async with opened(context=3) as engine:
        with pytest.raises(CapabilityError):
            await answer(engine, "x", tools=(ToolSpec("t", ""),))
        with pytest.raises(ContextOverflowError):
            await answer(engine, "one two three")


class TestEchoBackend(BackendConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return EchoBackend()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        return EchoSource().find("any")

    @pytest.fixture(scope="class")
    @classmethod
    def options(cls):
        return {"context": 0, "upper": False}


def test_in_the_program(oss_cli) -> None:
    shown = oss_cli.run("plugins", "show", "echo", "--json").ok().json()
    assert [(o["kind"], o["problem"]) for o in shown[0]["offers"]] == [
        ("backends", None),
        ("personas", None),
        ("model_sources", None),
    ]
    words = ["run", "--no-log", "--model", "echo:any", "--set", "backend.name=echo"]
    assert oss_cli.run(*words, "Привет, hello").ok().stdout == "Привет, hello\n"
    loud = oss_cli.run(*words, "--set", "backend.echo.upper=true", "hi").ok()
    assert loud.stdout == "HI\n"
    oss_cli.run(*words, "--set", "backend.echo.uper=true", "hi").failed(3)
