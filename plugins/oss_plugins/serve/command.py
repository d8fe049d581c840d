"""The command ``oss serve``."""

from __future__ import annotations

import sys
from typing import Any

import click

from oss.contracts.errors import ConfigError, StorageError, UsageError


@click.command()
@click.option(
    "-p",
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME",
    help="Serve this profile; may be repeated. All, if left out.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8765,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port; 0 takes a free one.",
)
@click.option(
    "--key",
    metavar="WHERE",
    help="Where the key is that clients must send: env:NAME, keyring:NAME or file:PATH.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A further name that clients reach this server by, without a key.",
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="A web page's origin that may use the server (CORS).",
)
@click.option(
    "--parallel",
    default=8,
    show_default=True,
    type=click.IntRange(1),
    help="Requests that run at once.",
)
@click.option(
    "--queue",
    default=64,
    show_default=True,
    type=click.IntRange(0),
    help="Requests that may wait; further ones get 429.",
)
@click.option(
    "--max-tokens", type=click.IntRange(1), help="The longest answer that may be asked for."
)
@click.option(
    "--max-body",
    default=4.0,
    show_default=True,
    type=click.FloatRange(0.001),
    help="The largest request, in MiB.",
)
@click.option(
    "--max-n", default=8, show_default=True, type=click.IntRange(1), help="Answers of one request."
)
@click.option(
    "--keep-alive",
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an engine stays loaded after its last use; -1 for ever.",
)
@click.option(
    "--grace",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How long running answers may go on when the server is stopped.",
)
@click.option("--load", is_flag=True, help="Load the models of the given profiles at once.")
def serve(**given: Any) -> int:
    """Serve every profile as a model of an OpenAI-compatible API.

    Without a key the server listens on this machine alone. Ctrl-C stops it; running answers may
    end first.
    """
    from oss_plugins.serve.settings import Settings

    load, host, port = given.pop("load"), given.pop("host"), given.pop("port")
    where = given.pop("key")
    key = read_server_key(where) if where else None
    if key is None and not _is_loopback(host):
        raise UsageError(
            f"without a key the server listens on this machine alone, not on {host}",
            hint="set a variable to a long random text, and give --key env:NAME",
        )
    given["max_body"] = int(given["max_body"] * 1024 * 1024)
    settings = Settings(key=key, **given)
    try:
        from oss_plugins.serve.running import run_server
    except ImportError as error:
        raise ConfigError(
            f"oss serve needs '{error.name}', which is not installed",
            hint="pip install 'oss-workbench[serve]'",
        ) from error
    return run_server(settings, host, port, load=load)


def read_server_key(where: str) -> str:
    """The key of ``env:NAME``, ``keyring:NAME`` or ``file:PATH``.

    :raises ConfigError: it cannot be read, or is no place.
    :raises StorageError: others may read the file.
    """
    from pathlib import Path

    from oss.engines.keys import read_key

    kind, _, rest = where.partition(":")
    if kind != "file" or not rest:
        key = read_key(where, "--key")
    else:
        path = Path(rest).expanduser()
        try:
            if sys.platform != "win32" and path.stat().st_mode & 0o077:
                raise StorageError(f"others may read the key in {path}", hint=f"chmod 600 {path}")
            key = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--key: {path} cannot be read: {error}") from error
    if not key:
        raise ConfigError("--key: the key is empty", hint="a long random text is best")
    return key


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
