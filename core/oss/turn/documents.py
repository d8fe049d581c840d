"""The user's documents in a turn: what to search for, what was found, what to say of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from oss.contracts.chat import ChatRequest, Sampling
from oss.contracts.errors import UsageError
from oss.contracts.filters import AllOf
from oss.contracts.messages import Message, ToolSpec
from oss.contracts.tool import Tool
from oss.turn.passages import numbered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from oss.contracts.chat import Delta
    from oss.contracts.filters import Filter
    from oss.contracts.retriever import Embedder, Passage, Retriever
    from oss.plugins.manager import Plugins
    from oss.profile.schema import RetrieverTable
    from oss.turn.budget import Budget

NOT_FOUND = "Not in the documents."
"""What a strict profile answers when the search finds nothing."""

LONGEST_QUESTION = 96
"""Tokens of a question that the model rewrites."""

_REWRITE = (
    "Do not answer yet. Write the question below so that it can be understood without this "
    "conversation: put names in place of words such as 'it', 'they', 'there'. Keep its language. "
    "Write the question alone, on one line.\n\nQuestion: "
)


@dataclass(frozen=True)
class Documents:
    """The retriever of a profile, and how it is to be used."""

    retriever: Retriever
    table: RetrieverTable
    plugins: Plugins
    where: Filter | None = None

    @classmethod
    def open(
        cls, table: RetrieverTable, plugins: Plugins, own: Sequence[str] = ()
    ) -> Documents | None:
        """What the profile's table names, or ``None``.

        :param own: collections of the persona, searched beside the profile's.
        :raises ConfigError: unknown, not installed, or a wrong option.
        :raises UsageError: ``where`` cannot be read.
        """
        if table.name is None and not own:
            return None
        import msgspec

        from oss.retrieval.filters import parse_filter
        from oss.retrieval.opening import DEFAULT_STORE, open_retriever

        if own:
            collections = tuple(dict.fromkeys((*table.collections, *own)))
            name = table.name or DEFAULT_STORE
            table = msgspec.structs.replace(table, name=name, collections=collections)
        retriever = open_retriever(table, plugins)
        if retriever is None:
            return None
        where = parse_filter(table.where) if table.where else None
        return cls(retriever, table, plugins, where)

    @property
    def always(self) -> bool:
        """Whether every prompt is searched for; else the model asks."""
        return self.table.use == "always"

    async def find(
        self, query: str, k: int | None = None, where: Filter | None = None
    ) -> tuple[Passage, ...]:
        """The best passages, screened by the plugins, best first.

        :param k: how many; the profile's number if left out.
        :param where: what has to hold beside the profile's own condition.
        """
        conditions = tuple(one for one in (self.where, where) if one is not None)
        both = AllOf(conditions) if len(conditions) > 1 else next(iter(conditions), None)
        found: Sequence[Passage] = await self.retriever.search(query, k or self.table.k, both)
        return tuple(self.plugins.pipe("oss_screen_passages", "passages", found, query=query))

    async def embedder(self) -> Embedder | None:
        """What made the vectors of the first collection; ``None`` where the retriever keeps them
        to itself.

        :raises UsageError: no such collection, or what is installed makes other vectors.
        """
        from oss.retrieval.search import StoreRetriever

        if not isinstance(self.retriever, StoreRetriever):
            return None
        name = self.retriever.collections[0]
        settings = await asyncio.to_thread(self.retriever.store.settings, name)
        return self.retriever.embedder(name, settings)

    async def nothing(self) -> str:
        """Why nothing was found, for the user: an empty index is not a question without answer.

        :raises UsageError: the index is empty, and the profile is strict.
        """
        if await self.retriever.count():
            return "nothing in the documents fits the question"
        names = ", ".join(self.table.collections) or self.table.name
        line = f"the index is empty: {names}"
        if self.table.strict:
            raise UsageError(line, hint="oss docs add PATH --to NAME")
        return line

    async def full_question(
        self, opening: Sequence[Message], history: Sequence[Message], prompt: str, budget: Budget
    ) -> str:
        """The prompt, written by the model so that it says what it is about. The prompt itself
        where there is no conversation, or the model writes something else than a question.

        The request begins as the turn's own does, so that the engine's cache serves both.
        """
        if not history or not self.table.rewrite:
            return prompt
        messages = (*opening, *history, Message("user", _REWRITE + prompt))
        if await budget.count(messages) + LONGEST_QUESTION > budget.context:
            return prompt
        request = ChatRequest(
            messages, Sampling(temperature=0.0, max_tokens=LONGEST_QUESTION), effort="none"
        )
        text = ""
        stream = cast("AsyncGenerator[Delta, None]", budget.engine.chat(request))
        async with aclosing(stream) as deltas:
            async for delta in deltas:
                text += delta.content
        first = text.strip().partition("\n")[0].removeprefix("Question:").strip(" \"'«»")
        if not first or len(first) > 2 * len(prompt) + 200:
            return prompt
        return first

    async def close(self) -> None:
        """Let go of collections and models."""
        close = getattr(self.retriever, "close", None)
        if close is not None:
            await close()


class SearchTool(Tool):
    """Lets the model search when it wants to. One for each turn.

    :ivar passages: all that it was given in this turn; their numbers go on from call to call.
    """

    safe = True  # reads what the profile already gives to the model, and changes nothing
    spec = ToolSpec(
        "search_documents",
        "Search the user's documents. Returns numbered passages; cite them by number, as [1].",
        {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "A full question, or key words."}
            },
            "required": ["query"],
            "additionalProperties": False,
        },
    )

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.passages: list[Passage] = []

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """Passages, or why there are none."""
        known = {(p.source, p.span) for p in self.passages}
        found = await self._documents.find(str(arguments["query"]))
        new = [p for p in found if (p.source, p.span) not in known]
        if not new:
            return "nothing new was found" if found else await self._documents.nothing()
        first = len(self.passages) + 1
        self.passages += new
        return numbered(new, first)
