"""A session: one profile's ingredients and its engine, opened once; turns are made with it."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from oss.contracts.chat import ChatRequest, Timings
from oss.contracts.errors import UsageError
from oss.turn.answering import Answering
from oss.turn.attachments import Attachment, user_message
from oss.turn.budget import Budget, answer_reserve
from oss.turn.events import Event, Notice, PassagesFound
from oss.turn.ingredients import Ingredients, gather
from oss.turn.keeper import EngineKeeper
from oss.turn.passages import find_passages, open_retriever, with_passages
from oss.turn.summary import SummariesInMemory, Summariser, SummaryMemory
from oss.turn.tools import Consent, ToolBox
from oss.turn.untrusted import new_mark

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Engine
    from oss.contracts.messages import Message
    from oss.contracts.retriever import Passage
    from oss.plugins.manager import Plugins
    from oss.profile import ResolvedProfile


@dataclass(frozen=True)
class Plan:
    """What a turn would send, as far as it can be known without the model.

    Nothing in it was counted: what does not fit is dropped or refused when the turn runs.
    """

    ingredients: Ingredients
    request: ChatRequest
    passages: tuple[Passage, ...] = ()


@asynccontextmanager
async def open_session(
    resolved: ResolvedProfile,
    plugins: Plugins,
    *,
    adapters: Sequence[AdapterRef] = (),
    engine: Engine | None = None,
    summaries: SummaryMemory | None = None,
) -> AsyncIterator[Session]:
    """Check everything that a profile asks for; the model is loaded by the first turn, or by
    :meth:`Session.load`, and freed when the context is left.

    :param adapters: beside those of the profile.
    :param engine: already open, with the same model and adapters; whoever opened it closes it.
    :param summaries: where summaries of long conversations are kept.
    :raises OssError: as :func:`oss.turn.ingredients.gather`.
    """
    session = Session(gather(resolved, plugins, adapters), plugins, engine, summaries)
    try:
        yield session
    finally:
        await session.close()


class Session:
    """Makes turns. One object serves several conversations, also at the same time."""

    def __init__(
        self,
        ingredients: Ingredients,
        plugins: Plugins,
        engine: Engine | None = None,
        summaries: SummaryMemory | None = None,
    ) -> None:
        self.ingredients = ingredients
        self.plugins = plugins
        self.summaries = summaries or SummariesInMemory()
        self._keeper = EngineKeeper(ingredients, engine)
        self._tools = ToolBox(ingredients.tools, ingredients.profile.tools.consent)
        self._retriever = open_retriever(ingredients.profile.retriever, plugins)

    def load(self) -> None:
        """Begin to load the model, if no one has; returns at once."""
        self._keeper.load()

    async def engine(self) -> Engine:
        """The open engine; loads the model.

        :raises ModelError: the model is broken, or does not fit.
        :raises BackendError: the engine could not start.
        """
        return await self._keeper.engine()

    async def close(self) -> None:
        """Free the engine; running turns fail."""
        await self._keeper.close()

    async def plan(
        self,
        history: Sequence[Message],
        prompt: str,
        *,
        attachments: Sequence[Attachment] = (),
        json_schema: Mapping[str, Any] | None = None,
        logprobs: int | None = None,
    ) -> Plan:
        """The request that :meth:`turn` would make, without the model.

        :raises UsageError: the prompt is empty.
        :raises CapabilityError: the backend cannot do what is asked.
        """
        self.check(prompt, attachments, json_schema, logprobs)
        passages = await self._search(prompt)
        user = user_message(prompt, attachments)
        user = replace(user, content=with_passages(user.content, passages, new_mark()))
        messages = (*self.ingredients.opening, *history, user)
        request = self._request(json_schema, logprobs, messages, "auto")
        return Plan(self.ingredients, request, passages)

    async def turn(
        self,
        history: Sequence[Message],
        prompt: str,
        *,
        attachments: Sequence[Attachment] = (),
        consent: Consent | None = None,
        json_schema: Mapping[str, Any] | None = None,
        logprobs: int | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer a prompt; the last event is :class:`~oss.turn.events.Done`. Closing the iterator
        stops the generation.

        :param history: the conversation before, without persona and passages.
        :param consent: asked before a tool runs that is not safe; ``None``: no one can be asked.
        :param json_schema: a valid JSON Schema that the answer must satisfy.
        :raises UsageError: the prompt is empty.
        :raises CapabilityError: the backend cannot do what is asked; before the model loads.
        :raises ContextOverflowError: the prompt does not fit.
        :raises ModelError: the model cannot be opened.
        :raises BackendError: the engine failed.
        """
        self.check(prompt, attachments, json_schema, logprobs)
        cold = not self._keeper.ready
        self._keeper.load()
        passages = await self._search(prompt)
        engine = await self._keeper.engine()
        made = self.ingredients
        reserve = answer_reserve(engine.info.context, made.sampling.max_tokens)
        budget = Budget(engine, self._tools.specs, reserve)
        summariser = Summariser(budget, self.summaries)
        user = user_message(prompt, attachments)
        fitted = await budget.fit(
            made.opening, history, user, passages, made.profile.memory.overflow, summariser.shorten
        )
        for line in (*summariser.notices, *fitted.notices):
            yield Notice(line)
        if self._retriever is not None:
            yield PassagesFound(fitted.passages, fitted.left_out)
        answering = Answering(
            budget=budget,
            tools=self._tools,
            make_request=partial(self._request, json_schema, logprobs),
            rounds=made.profile.tools.max_rounds,
            consent=consent,
            json_schema=json_schema,
            timings=Timings(load_s=self._keeper.load_s if cold else 0.0),
        )
        async with aclosing(answering.run(fitted.messages, user)) as events:
            async for event in events:
                yield event

    def check(
        self,
        prompt: str,
        attachments: Sequence[Attachment] = (),
        json_schema: Mapping[str, Any] | None = None,
        logprobs: int | None = None,
    ) -> None:
        """Refuse what cannot become a turn, before anything is loaded or written.

        :raises UsageError: the prompt is empty.
        :raises CapabilityError: the backend cannot do what is asked.
        """
        if not prompt.strip() and not attachments:
            raise UsageError("the prompt is empty", hint='oss run "your question"')
        needed = {}
        if json_schema is not None:
            needed["json_schema"] = "a JSON schema"
        if logprobs is not None:
            needed["logprobs"] = "logprobs"
        self.ingredients.require(needed, self.plugins)

    async def _search(self, prompt: str) -> tuple[Passage, ...]:
        if self._retriever is None or not prompt.strip():
            return ()
        k = self.ingredients.profile.retriever.k
        return await find_passages(self._retriever, prompt, k, self.plugins)

    def _request(
        self,
        json_schema: Mapping[str, Any] | None,
        logprobs: int | None,
        messages: tuple[Message, ...],
        tool_choice: str,
    ) -> ChatRequest:
        made = self.ingredients
        request = ChatRequest(
            messages=messages,
            sampling=made.sampling,
            tools=self._tools.specs,
            tool_choice=tool_choice,
            json_schema=json_schema,
            logprobs=logprobs,
            effort=made.effort,
        )
        return self.plugins.pipe("oss_before_generate", "request", request)
