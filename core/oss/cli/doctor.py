"""``oss doctor``: what this machine has, what works, and what each profile would run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from oss.plugins.manager import Plugins

GB = 1e9


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(*, as_json: bool) -> int:
    """Say what this machine has, which backends work and why others don't, which models are
    here, and what each profile would run.

    Exits with 1 when no profile could run.
    """
    from oss.plugins.manager import load_plugins

    plugins = load_plugins()
    findings: dict[str, Any] = {
        "machine": _machine(),
        "backends": list(_backends(plugins)),
        "models": list(_models(plugins)),
        "profiles": list(_profiles(plugins)),
    }
    findings["warnings"] = list(plugins.warnings)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(findings)).decode())
    else:
        _print(findings)
    return 0 if any(profile["runs"] for profile in findings["profiles"]) else 1


def _machine() -> dict[str, Any]:
    import os
    import platform
    import shutil
    import sys

    from oss import __version__, paths
    from oss.models import machine_memory

    memory = machine_memory()
    data = paths.data_dir()
    existing = next(folder for folder in (data, *data.parents) if folder.exists())
    return {
        "oss": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "memory_bytes": memory.total,
        "memory_free_bytes": memory.available,
        "gpu_memory_bytes": memory.gpu_total,
        "gpu_memory_free_bytes": memory.gpu_available,
        "disk_free_bytes": shutil.disk_usage(existing).free,
        "config": str(paths.config_dir()),
        "data": str(data),
        "cache": str(paths.cache_dir()),
    }


def _backends(plugins: Plugins) -> Iterator[dict[str, Any]]:
    from oss.contracts.errors import OssError

    for name, offer in plugins.offers("backends").items():
        try:
            problem = plugins.load("backends", name).problem()
        except OssError as error:
            problem = f"{error.message}; {error.hint}" if error.hint else error.message
        yield {
            "name": name,
            "plugin": offer.plugin,
            "works": problem is None,
            "problem": problem,
            "capabilities": sorted(offer.descriptor.capabilities),
        }


def _models(plugins: Plugins) -> Iterator[dict[str, Any]]:
    from oss.models import list_models

    for model in list_models(plugins):
        yield {
            "name": model.name,
            "ref": model.ref,
            "format": model.format,
            "bytes": model.size,
            "path": str(model.path) if model.path else None,
        }


def _profiles(plugins: Plugins) -> Iterator[dict[str, Any]]:
    from oss.contracts.errors import OssError
    from oss.profile import list_profiles, resolve_profile
    from oss.turn.ingredients import gather

    for found in list_profiles():
        entry: dict[str, Any] = {"name": found.name, "runs": False}
        try:
            made = gather(resolve_profile(found.name, plugins=plugins), plugins)
        except OssError as error:
            entry["problem"] = error.message
            entry["hint"] = error.hint
        else:
            entry.update(
                runs=True,
                model=made.choice.model.name,
                backend=made.backend.name,
                reason=made.choice.reason,
            )
        yield entry


def _print(findings: Mapping[str, Any]) -> None:
    machine = findings["machine"]
    click.secho("This machine", bold=True)
    click.echo(f"  oss {machine['oss']}, Python {machine['python']}")
    click.echo(f"  {machine['system']}, {machine['cpus']} CPUs")
    click.echo(
        f"  memory {machine['memory_bytes'] / GB:.1f} GB, "
        f"{machine['memory_free_bytes'] / GB:.1f} GB free; "
        f"disk {machine['disk_free_bytes'] / GB:.0f} GB free"
    )
    if machine["gpu_memory_bytes"]:
        click.echo(
            f"  GPU memory {machine['gpu_memory_bytes'] / GB:.1f} GB, "
            f"{machine['gpu_memory_free_bytes'] / GB:.1f} GB free"
        )
    else:
        click.echo("  no GPU found")
    click.echo(f"  config {machine['config']}\n  data   {machine['data']}")
    click.secho("Backends", bold=True)
    for backend in findings["backends"]:
        mark = click.style("works", fg="green") if backend["works"] else "does not work"
        click.echo(f"  {backend['name']}: {mark}")
        if backend["problem"]:
            click.echo(f"    {backend['problem']}")
    click.secho("Models here", bold=True)
    for model in findings["models"]:
        click.echo(f"  {model['name']} ({model['format']}, {model['bytes'] / 1e6:.0f} MB)")
    if not findings["models"]:
        click.echo("  none; oss model pull starter fetches a small one (98 MB)")
    click.secho("Profiles", bold=True)
    for profile in findings["profiles"]:
        if profile["runs"]:
            click.echo(f"  {profile['name']}: {profile['model']} on {profile['backend']}")
        else:
            click.echo(f"  {profile['name']}: {profile['problem']}")
            if profile["hint"]:
                click.secho(f"    hint: {profile['hint']}", dim=True)
    for warning in findings["warnings"]:
        click.secho(f"warning: {warning}", err=True)
