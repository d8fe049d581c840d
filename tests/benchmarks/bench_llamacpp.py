"""What the backend llamacpp costs over its raw binding: tokens per second, the first token, the
second turn. What a whole ``oss run`` costs: ``bench_first_token.py``.

``--model`` takes another GGUF file, ``--binding`` the other binding, ``--parts`` a selection.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import Ratio, interleaved, parser, ratio, report

from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.messages import Message
from oss.contracts.model import LocalModel
from oss.testing.starter import starter_gguf
from oss_plugins.llamacpp import OPTIONS
from oss_plugins.llamacpp.backend import LlamaCppBackend
from oss_plugins.llamacpp.settings import available_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from oss.contracts.backend import Engine

CONTEXT = 2048
TOKENS = 96
PROMPT = "Write a long story about a river that forgot where the sea was. " * 4
PARTS = ("speed", "turns")


class Timed:
    """When the texts of an answer came."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.times: list[float] = []

    def came(self) -> None:
        self.times.append(time.perf_counter())

    @property
    def first(self) -> float:
        """Seconds to the first."""
        return self.times[0] - self.begun

    @property
    def rate(self) -> float:
        """Texts per second after the first."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])


def raw_xllamacpp(path: Path, threads: int) -> Callable[[], Timed]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = CONTEXT
    params.cpuparams.n_threads = threads
    params.verbosity = 0
    server = xllamacpp.Server(params)

    def ask() -> Timed:
        timed = Timed()

        def callback(chunk: dict[str, Any]) -> None:
            if chunk.get("choices") and chunk["choices"][0]["delta"].get("content"):
                timed.came()

        body = {
            "messages": [{"role": "user", "content": PROMPT}],
            "stream": True,
            "temperature": 0,
            "max_tokens": TOKENS,
            "cache_prompt": False,
        }
        server.handle_chat_completions(body, callback)
        return timed

    return ask


def raw_llama_cpp_python(path: Path, threads: int) -> Callable[[], Timed]:
    import llama_cpp

    llama = llama_cpp.Llama(str(path), n_ctx=CONTEXT, n_threads=threads, verbose=False)

    def ask() -> Timed:
        llama.reset()
        timed = Timed()
        chunks: Iterator[Any] = llama.create_chat_completion(  # type: ignore[assignment]
            [{"role": "user", "content": PROMPT}], stream=True, temperature=0, max_tokens=TOKENS
        )
        for chunk in chunks:
            if chunk["choices"][0]["delta"].get("content"):
                timed.came()
        return timed

    return ask


async def ours(engine: Engine) -> Timed:
    request = ChatRequest(
        (Message("user", PROMPT),),
        Sampling(temperature=0, max_tokens=TOKENS, seed=1),  # a seed: nothing from the cache
    )
    timed = Timed()
    async for delta in engine.chat(request):
        if delta.content:
            timed.came()
    return timed


class Speeds:
    """Rates and first tokens of both sides.

    Of two engines in one process the one opened later is the faster by some percent: both orders
    are measured.
    """

    def __init__(self) -> None:
        self.rates: dict[str, list[float]] = {"raw": [], "ours": []}
        self.firsts: dict[str, list[float]] = {"raw": [], "ours": []}

    def measure(
        self, run: Callable[[Any], Any], engine: Engine, raw: Callable[[], Timed], rounds: int
    ) -> None:
        """So many rounds of both in turn, after one that is not kept."""
        firsts: dict[str, list[float]] = {"raw": [], "ours": []}

        def measured(name: str, ask: Callable[[], Timed]) -> Callable[[], float]:
            def measure() -> float:
                timed = ask()
                firsts[name].append(timed.first)
                return timed.rate

            return measure

        sides = {"raw": measured("raw", raw), "ours": measured("ours", lambda: run(ours(engine)))}
        for name, found in interleaved(sides, rounds).items():
            self.rates[name] += found
            self.firsts[name] += firsts[name][1:]

    def figures(self) -> list[Ratio]:
        """The two ratios."""
        return [
            ratio("tokens-per-second", self.rates, "ours", "raw", unit="tokens/s", limit=">= 0.97"),
            ratio("first-token", self.firsts, "ours", "raw", limit="at most 0.030 s more"),
        ]


async def turns(opened: AbstractAsyncContextManager[Engine]) -> list[Ratio]:
    """Prompt tokens evaluated over those that are new, in a second turn and a new conversation."""
    async with opened as engine:
        return await _turns(engine)


async def _turns(engine: Engine) -> list[Ratio]:
    persona = Message("system", "You are a patient teacher who answers in one sentence. " * 12)

    async def ask(*messages: Message) -> tuple[str, int, int]:
        request = ChatRequest(messages, Sampling(temperature=0, max_tokens=24))
        text = ""
        async for delta in engine.chat(request):
            text += delta.content
        assert delta.usage is not None
        return text, delta.usage.prompt_tokens, delta.usage.cached_tokens

    first = (persona, Message("user", "What is a river?"))
    text, before, _ = await ask(*first)
    _, size, cached = await ask(*first, Message("assistant", text), Message("user", "And a lake?"))
    shared = await engine.count_tokens((persona,))
    _, other, kept = await ask(persona, Message("user", "Why is the sky blue?"))
    return [
        Ratio("second-turn", size - cached, size - before, "tokens", 1, "<= 1.0"),
        Ratio("new-conversation", other - kept, other - shared, "tokens", 1, "about 1"),
    ]


def main() -> None:
    arguments = parser(__doc__ or "", rounds=7)
    arguments.add_argument("--binding", default="xllamacpp")
    arguments.add_argument("--model", type=Path)
    arguments.add_argument("--threads", type=int, default=available_threads())
    arguments.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = arguments.parse_args()
    path = options.model or starter_gguf()
    figures: list[Ratio] = []
    given = {"context": CONTEXT, "binding": options.binding, "threads": options.threads}
    complete = {option.name: option.default for option in OPTIONS} | given
    model = LocalModel("model", "file:model", "gguf", path)
    speeds = Speeds()
    make = raw_xllamacpp if options.binding == "xllamacpp" else raw_llama_cpp_python
    loop = asyncio.new_event_loop()
    run = loop.run_until_complete
    for raw_first in (False, True) if "speed" in options.parts else ():
        raw = make(path, options.threads) if raw_first else None
        stack = AsyncExitStack()
        opened = LlamaCppBackend().open(model, (), complete)
        engine = run(stack.enter_async_context(opened))
        speeds.measure(run, engine, raw or make(path, options.threads), options.rounds)
        run(stack.aclose())
    if "speed" in options.parts:
        figures += speeds.figures()
    if "turns" in options.parts:
        figures += run(turns(LlamaCppBackend().open(model, (), complete)))
    run(loop.shutdown_default_executor())
    loop.close()
    report(figures, options.json)


if __name__ == "__main__":
    main()
