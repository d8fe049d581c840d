"""Installs and removes plugin distributions with this interpreter's pip, and remembers them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from oss.contracts.errors import OssError, UsageError
from oss.plugins import manifest
from oss.plugins.discovery import CORE, GROUP
from oss.plugins.manifest import Entry, normal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.metadata import Distribution


class Installed(NamedTuple):
    """A distribution with plugins, as its metadata says."""

    name: str
    version: str
    summary: str
    plugins: tuple[str, ...]
    url: str
    """Where it was installed from, if not an index: ``file:///...``."""


def installed() -> dict[str, Installed]:
    """Distributions with plugins, by normalised name. Reads metadata anew."""
    from importlib.metadata import distributions

    importlib.invalidate_caches()
    found: dict[str, Installed] = {}
    for distribution in distributions():
        names = tuple(e.name for e in distribution.entry_points if e.group == GROUP)
        if names:
            name = distribution.metadata["Name"]
            about = Installed(
                name,
                distribution.version,
                str(distribution.metadata.json.get("summary", "")),
                names,
                _origin(distribution),
            )
            found.setdefault(normal(name), about)
    return found


def _origin(distribution: Distribution) -> str:
    """The URL in ``direct_url.json`` (PEP 610), or nothing."""
    try:
        return str(json.loads(distribution.read_text("direct_url.json") or "{}").get("url", ""))
    except ValueError:
        return ""


class Request(NamedTuple):
    """What the user asked pip for."""

    requirement: str
    editable: bool = False

    @classmethod
    def parse(cls, text: str, *, editable: bool = False) -> Request:
        """A path becomes absolute, so that it means the same tomorrow.

        :raises UsageError: an option of pip, or a path to nothing.
        """
        if text.startswith("-"):
            raise UsageError(f"'{text}' is not a package", hint="give names, paths or URLs")
        looks_like_path = os.sep in text or text.startswith(".") or text.endswith(".whl")
        if editable or (looks_like_path and "://" not in text and "@" not in text):
            path = Path(re.sub(r"\[[^\]]*\]$", "", text)).expanduser()
            if not path.exists():
                raise UsageError(f"there is nothing at '{path}'")
            return cls(str(path.resolve()), editable)
        return cls(text)

    def is_for(self, about: Installed) -> bool:
        """Whether this request is what installed a distribution."""
        if Path(self.requirement).is_absolute():
            return about.url.rstrip("/") == Path(self.requirement).as_uri().rstrip("/")
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.requirement)
        if name and "://" not in self.requirement.partition("@")[0]:
            return normal(name.group()) == normal(about.name)
        return bool(about.url) and about.url in self.requirement


def _command(verb: str, arguments: Sequence[str]) -> list[str]:
    """The command that changes this environment.

    :raises OssError: there is neither pip nor uv.
    """
    if importlib.util.find_spec("pip"):
        yes = ["--yes"] if verb == "uninstall" else []
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        return [*pip, verb, *yes, *arguments]
    if uv := shutil.which("uv"):
        return [uv, "pip", verb, "--python", sys.executable, *arguments]
    raise OssError(
        f"this Python has no pip: {sys.executable}", hint=f"{sys.executable} -m ensurepip"
    )


def _run(verb: str, *arguments: str) -> int:
    """Run pip with its output on stderr, where everything goes that is not data."""
    process = subprocess.Popen(_command(verb, arguments), stdout=2)
    interrupted = False
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:  # the terminal told pip too: let it put back what it moved
            interrupted = True
            continue
        if interrupted:
            raise KeyboardInterrupt
        return code


def install(requests: Sequence[Request], *, upgrade: bool = False) -> list[Installed]:
    """Install with pip and remember; what is installed is remembered even when interrupted.

    :return: the distributions with plugins that were asked for.
    :raises OssError: pip failed.
    """
    with manifest.locked():
        manifest.read()  # a broken manifest is said before anything is installed
        before = installed()
        arguments = ["--upgrade"] if upgrade else []
        for request in requests:
            arguments += ["--editable"] if request.editable else []
            arguments.append(request.requirement)
        code = 1
        try:
            code = _run("install", *arguments)
        finally:
            after = installed()
            done = [
                (request, about)
                for name, about in after.items()
                for request in requests
                if request.is_for(about) and (code == 0 or name not in before)
            ]
            manifest.add(
                Entry(about.name, request.requirement, request.editable, about.plugins)
                for request, about in done
                if normal(about.name) != CORE
            )
    if code:
        raise OssError(
            f"pip could not install {', '.join(r.requirement for r in requests)}",
            hint="its own message is above",
        )
    return [about for _, about in done]


def uninstall(name: str) -> Installed | None:
    """Remove the distribution of a plugin, by either's name, and forget it.

    :return: what was removed; ``None`` where it was only remembered.
    :raises UsageError: no such plugin, or a part of oss itself.
    :raises OssError: pip failed.
    """
    with manifest.locked():
        found = installed()
        owners = [a for a in found.values() if name in a.plugins or normal(a.name) == normal(name)]
        if not owners:
            if manifest.remove(name):
                return None
            listed = ", ".join(a.name for a in found.values() if a.name != CORE)
            raise UsageError(
                f"no plugin '{name}' is installed", hint=f"there is: {listed or 'none'}"
            )
        about = owners[0]
        if normal(about.name) == CORE:
            raise UsageError(
                f"'{name}' is a part of oss itself",
                hint="OSS_PLUGINS, a list of names, chooses which plugins are used",
            )
        code = 1
        try:
            code = _run("uninstall", about.name)
        finally:
            if normal(about.name) not in installed():
                manifest.remove(about.name)
    if code:
        raise OssError(f"pip could not remove {about.name}", hint="its own message is above")
    return about


def missing() -> list[Entry]:
    """What the manifest remembers and this environment does not have."""
    have = installed()
    return [entry for entry in manifest.read() if normal(entry.distribution) not in have]
