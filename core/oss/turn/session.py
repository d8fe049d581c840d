"""A session: one profile's ingredients and its engine, opened once; turns are made with it."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from oss.contracts.chat import ChatRequest, Timings
from oss.contracts.errors import UsageError
from oss.contracts.messages import Message
from oss.turn.answering import Answering
from oss.turn.attachments import Attachment, user_message
from oss.turn.budget import Budget, answer_reserve
from oss.turn.citations import CitationFilter
from oss.turn.documents import NOT_FOUND, Documents, SearchTool
from oss.turn.events import Done, Event, Notice, PassagesFound, Text
from oss.turn.ingredients import Ingredients, gather
from oss.turn.keeper import EngineKeeper
from oss.turn.passages import with_passages
from oss.turn.spec import spec_of
from oss.turn.summary import SummariesInMemory, Summariser, SummaryMemory
from oss.turn.tools import Consent, ToolBox
from oss.turn.warm import open_engine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from oss.contracts.adapter import AdapterRef
    from oss.contracts.backend import Engine
    from oss.contracts.messages import ToolSpec
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
    """Makes turns. One object serves several conversations, also at the same time.

    :ivar scales: adapter name to the scale that its next turns run with, in place of the one that
        it was opened with.
    """

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
        self.scales: dict[str, float] = {}
        self._keeper = EngineKeeper(self._open, engine)
        self._tools = ToolBox(ingredients.tools, ingredients.profile.tools.consent)
        self._choice = "auto"
        self._documents = Documents.open(
            ingredients.profile.retriever, plugins, ingredients.collections
        )
        if self._documents is not None and not self._documents.always:
            ingredients.require({"tools": "retriever.use"}, plugins)

    @property
    def documents(self) -> Documents | None:
        """The profile's documents, for those who only search in them; ``None`` if it has none."""
        return self._documents

    @property
    def ready(self) -> bool:
        """Whether the engine can be had without waiting."""
        return self._keeper.ready

    def take_engine(self, other: Session) -> bool:
        """Take over the engine of another session, if this one would open the same.

        The other session is of no use afterwards but to be closed.
        """
        if not self.ingredients.same_engine(other.ingredients):
            return False
        self._keeper, other._keeper = other._keeper, self._keeper
        return True

    def on_behalf(
        self,
        engine: Engine,
        ingredients: Ingredients,
        tools: Sequence[ToolSpec] = (),
        choice: str = "auto",
    ) -> Session:
        """This session for one request of a program: on an engine lent to it, with its own
        settings and its own tools, which it runs itself. Not to be closed.

        :param ingredients: this session's, with other sampling or opening.
        :param choice: ``tool_choice`` of the first request to the engine.
        """
        other = copy(self)
        other.ingredients = ingredients
        other._keeper = EngineKeeper(other._open, engine)
        other._tools = ToolBox(ingredients.tools, ingredients.profile.tools.consent, tools)
        other._choice = choice
        return other

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
        if self._documents is not None:
            await self._documents.close()

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
        strict = self.ingredients.profile.retriever.strict
        content = with_passages(user.content, passages, strict=strict)
        user = replace(user, content=content)
        messages = (*self.ingredients.opening, *history, user)
        request = self._request(json_schema, logprobs, self._turn_tools()[0], messages, "auto")
        return Plan(self.ingredients, request, passages)

    async def turn(
        self,
        history: Sequence[Message],
        prompt: str,
        *,
        attachments: Sequence[Attachment] = (),
        tail: Sequence[Message] = (),
        consent: Consent | None = None,
        json_schema: Mapping[str, Any] | None = None,
        logprobs: int | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer a prompt; the last event is :class:`~oss.turn.events.Done`. Closing the iterator
        stops the generation.

        :param history: the conversation before, without persona and passages.
        :param tail: tool calls and results that follow the prompt already.
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
        made = self.ingredients
        tools, search = self._turn_tools()
        passages = () if history else await self._search(prompt)  # while the model loads
        engine = await self._keeper.engine()
        reserve = answer_reserve(engine.info.context, made.sampling.max_tokens)
        budget = Budget(engine, tools.specs, reserve, made.profile.retriever.strict, tuple(tail))
        user = user_message(prompt, attachments)
        if self._documents is not None and self._documents.always and prompt.strip():
            if history:
                query = await self._documents.full_question(made.opening, history, prompt, budget)
                if query != prompt:
                    yield Notice(f"searched for: {query}")
                passages = await self._search(query)
            if not passages:
                yield Notice(await self._documents.nothing())
                if made.profile.retriever.strict:
                    yield PassagesFound(())
                    yield Text(NOT_FOUND)
                    yield Done((user, Message("assistant", NOT_FOUND)), (), "stop")
                    return
        summariser = Summariser(budget, self.summaries)
        fitted = await budget.fit(
            made.opening, history, user, passages, made.profile.memory.overflow, summariser.shorten
        )
        for line in (*summariser.notices, *fitted.notices):
            yield Notice(line)
        if self._documents is not None and self._documents.always:
            yield PassagesFound(fitted.passages, fitted.left_out)
        citations = None
        if self._documents is not None and json_schema is None:
            citations = CitationFilter(search.passages if search else fitted.passages)
        answering = Answering(
            budget=budget,
            tools=tools,
            make_request=partial(self._request, json_schema, logprobs, tools),
            rounds=made.profile.tools.max_rounds,
            consent=consent,
            json_schema=json_schema,
            timings=Timings(load_s=self._keeper.load_s if cold else 0.0),
            choice=self._choice,
            citations=citations,
        )
        async with aclosing(answering.run((*fitted.messages, *tail), user)) as events:
            async for event in events:
                if isinstance(event, Done) and citations is not None and citations.passages:
                    yield citations.event(event.answer)
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

    def _open(self) -> AbstractAsyncContextManager[Engine]:
        return open_engine(spec_of(self.ingredients))

    async def _search(self, prompt: str) -> tuple[Passage, ...]:
        if self._documents is None or not self._documents.always or not prompt.strip():
            return ()
        return await self._documents.find(prompt)

    def _turn_tools(self) -> tuple[ToolBox, SearchTool | None]:
        """The tools of one turn: a search of documents counts its passages for that turn alone."""
        if self._documents is None or self._documents.always:
            return self._tools, None
        search = SearchTool(self._documents)
        return self._tools.with_tool(search), search

    def _request(
        self,
        json_schema: Mapping[str, Any] | None,
        logprobs: int | None,
        tools: ToolBox,
        messages: tuple[Message, ...],
        tool_choice: str,
    ) -> ChatRequest:
        made = self.ingredients
        request = ChatRequest(
            messages=messages,
            sampling=made.sampling,
            tools=tools.specs,
            tool_choice=tool_choice,
            json_schema=json_schema,
            logprobs=logprobs,
            effort=made.effort,
            adapter_scales=dict(self.scales),
        )
        return self.plugins.pipe("oss_before_generate", "request", request)
