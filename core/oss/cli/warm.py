"""``oss up``, ``oss ps``, ``oss down``: models that stay loaded between runs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from oss.cli.complete import profiles as complete_profiles

if TYPE_CHECKING:
    from oss.turn.spec import EngineSpec
    from oss.turn.warm import Address


@click.command()
@click.option(
    "-p",
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_profiles,
    help="Load this profile's model; may be repeated. The default profile's, if left out.",
)
@click.option("--empty", is_flag=True, help="Load no model yet.")
@click.option(
    "--keep-alive",
    default=1800.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a model stays loaded after its last use; -1 for ever.",
)
@click.option("--foreground", is_flag=True, help="Run here, until Ctrl-C; loads no model.")
def up(profiles: tuple[str, ...], empty: bool, keep_alive: float, foreground: bool) -> int:
    """Keep models loaded in the background: `oss run` answers without loading them again."""
    import asyncio

    if foreground:
        from oss.plugins.manager import load_plugins
        from oss.turn.pool import EnginePool
        from oss.turn.warm_server import serve_warm

        async def serve() -> None:
            await serve_warm(EnginePool(keep_alive=keep_alive), load_plugins())

        asyncio.run(serve())
        return 0
    wanted = [] if empty else [_engine_of(name) for name in profiles or (None,)]
    address = running() or _start(keep_alive)
    sys.stderr.write(f"the background server runs (process {address.pid}); oss down ends it\n")
    for name, spec in wanted:
        asyncio.run(_load(name, spec, address))
    return 0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ps(as_json: bool) -> int:
    """List the models that the background server keeps loaded."""
    address = running()
    found = _ask(address, "ps") if address is not None else None
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
        return 0
    if found is None:
        sys.stderr.write("no background server runs; oss up starts one\n")
        return 0
    from oss.cli.tables import print_table

    rows = [
        [
            each["model"] + "".join(f" +{name}" for name in each["adapters"]),
            each["backend"],
            str(each["context"] or "loading"),
            f"{each['memory'] / 2**20:.0f} MiB" if each["memory"] else "",
            f"{each['requests']} running" if each["requests"] else f"idle {each['idle_s']:.0f} s",
        ]
        for each in found["engines"]
    ]
    print_table(["model", "backend", "context", "memory", "state"], rows)
    return 0


@click.command()
def down() -> int:
    """End the background server and free its models; running answers break off."""
    import os
    import time

    address = running()
    if address is None:
        sys.stderr.write("no background server runs\n")
        return 0
    _ask(address, "down")
    for _ in range(600):
        try:
            os.kill(address.pid, 0)
        except OSError:
            return 0
        time.sleep(0.05)
    from oss.contracts.errors import BusyError

    raise BusyError(f"process {address.pid} does not end", hint=f"kill {address.pid}")


def running() -> Address | None:
    """The background server, if it answers."""
    from oss.turn.warm import find_address

    address = find_address()
    try:
        if address is not None:
            _ask(address, "ps")
    except ConnectionError:
        return None
    return address


def _ask(address: Address, op: str) -> Any:
    import asyncio

    from oss.turn.warm import call

    return asyncio.run(call(address, {"op": op}))


def _engine_of(name: str | None) -> tuple[str, EngineSpec]:
    """The profile's name and its engine.

    :raises OssError: the profile does not work here.
    """
    from oss.plugins.manager import load_plugins
    from oss.profile import resolve_profile
    from oss.turn.ingredients import gather
    from oss.turn.spec import spec_of

    plugins = load_plugins()
    resolved = resolve_profile(name, plugins=plugins)
    return resolved.name, spec_of(gather(resolved, plugins))


async def _load(name: str, spec: EngineSpec, address: Address) -> None:
    from oss.turn.warm import call, spec_to_wire

    if spec.model.path is None:
        sys.stderr.write(f"{name}: {spec.model.name} is on another server already\n")
        return
    sys.stderr.write(f"{name}: loading {spec.model.name}\n")
    await call(address, {"op": "open", "spec": spec_to_wire(spec)})


def _start(keep_alive: float) -> Address:
    """Start a server that outlives this process.

    :raises BackendError: it ended at once; the hint has its last words.
    """
    import subprocess
    import time

    from oss.contracts.errors import BackendError
    from oss.turn.warm import run_dir

    run_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
    log = run_dir() / "warm.log"
    program = "from oss.cli.main import main; main()"
    command = [sys.executable, "-c", program, "up", "--foreground", "--keep-alive"]
    with log.open("wb") as output:
        log.chmod(0o600)
        process = subprocess.Popen(
            [*command, str(keep_alive)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    for _ in range(1200):
        address = running()
        if address is not None and address.pid == process.pid:
            return address
        if process.poll() is not None:
            break
        time.sleep(0.05)
    else:
        process.kill()
    if (other := running()) is not None:  # someone else was faster
        return other
    words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-2:]
    raise BackendError("the background server did not start", hint=" / ".join(words) or None)
