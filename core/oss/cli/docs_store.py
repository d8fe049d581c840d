"""Which store a command of ``oss docs`` works with: the profile's, or the one named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from oss.cli import complete

if TYPE_CHECKING:
    from collections.abc import Callable

    from oss.contracts.store import VectorStore
    from oss.plugins.manager import Plugins
    from oss.profile.schema import RetrieverTable


class Place(NamedTuple):
    """An opened store, and the retriever table of the profile that it comes from."""

    store: VectorStore
    plugins: Plugins
    table: RetrieverTable


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--profile``, ``--store`` and ``--url``."""
    for option in (
        click.option("--url", help="The address of the store's server, in place of this machine."),
        click.option("--store", help="The store; qdrant if left out."),
        click.option(
            "--profile",
            shell_complete=complete.profiles,
            help="Take store, collections and search settings of this profile.",
        ),
    ):
        command = option(command)
    return command


def open_place(profile: str | None, store: str | None, url: str | None) -> Place:
    """The store that the options of a command name.

    :raises ConfigError: unknown, not installed, or a wrong option.
    """
    from oss.plugins.manager import load_plugins
    from oss.profile.schema import RetrieverTable
    from oss.retrieval.opening import DEFAULT_STORE, open_store

    plugins = load_plugins()
    table = RetrieverTable()
    if profile is not None:
        from oss.profile import resolve_profile

        table = resolve_profile(profile, plugins=plugins).profile.retriever
    name = store or table.name or DEFAULT_STORE
    options = dict(table.options.get(name, {}))
    if url:
        options["url"] = url
    return Place(open_store(plugins, name, options), plugins, table)


def collections(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[str]:
    """Completes names of the collections on this machine."""
    from contextlib import suppress

    from oss.contracts.errors import OssError
    from oss.retrieval.folders import CollectionFolder, collections_dir

    with suppress(OssError, OSError):
        names = CollectionFolder.names(collections_dir())
        return [name for name in names if name.startswith(incomplete)]
    return []
