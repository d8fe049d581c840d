"""The hooks a plugin may implement.

Hooks return descriptors (see :class:`oss.contracts.descriptors.Descriptor`): a name, a summary,
options and where the class is. Nothing heavy is imported to answer them; the target is imported
when a profile or a command uses it. Write a hook as a module-level function::

    from oss.hookspecs import hookimpl
    from oss.contracts.descriptors import Descriptor

    @hookimpl
    def oss_backends():
        return [Descriptor("echo", "repeats the prompt", "oss_echo.backend:EchoBackend")]

and name the module in the entry-point group ``oss.v1``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oss.contracts.chat import ChatRequest
    from oss.contracts.descriptors import Descriptor
    from oss.contracts.messages import Message
    from oss.contracts.model import CatalogueEntry
    from oss.contracts.retriever import Passage
    from oss.turn.events import Done

hookspec = pluggy.HookspecMarker("oss")
hookimpl = pluggy.HookimplMarker("oss")


@hookspec
def oss_backends() -> Sequence[Descriptor]:
    """Backends; each target is a :class:`oss.contracts.backend.Backend`.

    Called once, when a backend is looked up. All answers are joined; a name that two plugins
    offer belongs to the one registered first, and the other costs a warning.
    """
    raise NotImplementedError


@hookspec
def oss_retrievers() -> Sequence[Descriptor]:
    """Retrievers that are no vector store (a search service, a database of your own); each
    target is a :class:`oss.contracts.retriever.Retriever` that is constructed with the validated
    options of its descriptor as keywords.
    """
    raise NotImplementedError


@hookspec
def oss_stores() -> Sequence[Descriptor]:
    """Vector stores; each target is a :class:`oss.contracts.store.VectorStore` that is
    constructed with ``folder`` and the validated options of its descriptor as keywords. Shared
    code makes a retriever of it, so a profile's ``[retriever] name`` may name one.
    """
    raise NotImplementedError


@hookspec
def oss_embedders() -> Sequence[Descriptor]:
    """Embedders; each target is a :class:`oss.contracts.retriever.Embedder` that is
    constructed with the validated options of its descriptor as keywords.
    """
    raise NotImplementedError


@hookspec
def oss_rerankers() -> Sequence[Descriptor]:
    """Rerankers; each target is a :class:`oss.contracts.retriever.Reranker` that is constructed
    with ``embedder`` (of the collection that is searched) and the validated options of its
    descriptor as keywords.
    """
    raise NotImplementedError


@hookspec
def oss_loaders() -> Sequence[Descriptor]:
    """Loaders; each target is a :class:`oss.contracts.loader.Loader` that is constructed without
    arguments. ``capabilities`` are the suffixes that it reads; one that two loaders read belongs
    to the one registered first.
    """
    raise NotImplementedError


@hookspec
def oss_adapters() -> Sequence[Descriptor]:
    """Adapter methods, by which an adapter is made or carried to a backend."""
    raise NotImplementedError


@hookspec
def oss_personas() -> Sequence[Descriptor]:
    """Personas; each target is a :class:`oss.contracts.persona.Persona` object."""
    raise NotImplementedError


@hookspec
def oss_tools() -> Sequence[Descriptor]:
    """Tools; each target is a :class:`oss.contracts.tool.Tool` constructed without arguments."""
    raise NotImplementedError


@hookspec
def oss_model_sources() -> Sequence[Descriptor]:
    """Model sources; the name is the scheme, each target a
    :class:`oss.contracts.model.ModelSource` constructed without arguments.
    """
    raise NotImplementedError


@hookspec
def oss_models() -> Sequence[CatalogueEntry]:
    """Short names for models, added to the catalogue."""
    raise NotImplementedError


@hookspec
def oss_commands() -> Sequence[Descriptor]:
    """Commands of the ``oss`` program; each target is a :class:`click.Command`.

    A built-in command of the same name wins, with a warning.
    """
    raise NotImplementedError


@hookspec
def oss_before_generate(request: ChatRequest) -> ChatRequest | None:
    """Called with the request just before the engine gets it.

    :param request: messages, tools and settings, already within the budget.
    :return: another request to use in its place, or ``None`` to leave it. Plugins are asked in
        order of registration, each seeing what the one before returned.
    """
    raise NotImplementedError


@hookspec
def oss_screen_passages(query: str, passages: Sequence[Passage]) -> Sequence[Passage] | None:
    """Called with the passages found, before they are packed into the prompt.

    :param query: the question they were found for.
    :return: the passages to keep, in order, or ``None`` to leave them. Passages can be removed
        or reordered; each plugin sees what the one before returned.
    """
    raise NotImplementedError


@hookspec
def oss_after_turn(messages: Sequence[Message], done: Done) -> None:
    """Called when a turn is complete and logged; for counting, exporting, learning.

    :param messages: the whole prompt as it was sent.
    :param done: the last event of the turn: answer, usage, timings.
    """
    raise NotImplementedError
