"""Runs the real ``oss`` program in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class OssHome:
    """An empty home (``OSS_HOME``) and an empty working directory, both of one test alone."""

    path: Path
    cwd: Path

    @property
    def config(self) -> Path:
        """Where profiles, personas and settings are."""
        return self.path / "config"

    @property
    def data(self) -> Path:
        """Where models and conversations are."""
        return self.path / "data"

    @property
    def cache(self) -> Path:
        """What can be made again."""
        return self.path / "cache"

    def write(self, relative: str, text: str) -> Path:
        """Write a file below the home (``config/profiles/mine.toml``), dedented, in UTF-8."""
        target = self.path / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text), encoding="utf-8")
        return target


@dataclass(frozen=True)
class Outcome:
    """What a run of the program gave."""

    args: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    def ok(self) -> Outcome:
        """This outcome, if the program ended well; else an assertion that shows everything."""
        return self.failed(0)

    def failed(self, code: int) -> Outcome:
        """This outcome, if the program ended with ``code`` (see ``oss.contracts.errors``)."""
        assert self.code == code, str(self)  # noqa: S101  an assertion for tests
        return self

    def json(self) -> Any:
        """What stdout holds, read as JSON."""
        return json.loads(self.stdout)

    def __str__(self) -> str:
        return (
            f"$ oss {' '.join(self.args)}\nexit code {self.code}\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        )


@dataclass
class OssCli:
    """The program as users run it, in the home of one test.

    :ivar env: variables for every run, over those of this process; ``None`` removes one.
    """

    home: OssHome
    env: dict[str, str | None] = field(default_factory=dict)

    @property
    def program(self) -> Path:
        """The installed ``oss`` of this interpreter."""
        name = "oss.exe" if sys.platform == "win32" else "oss"
        return Path(sysconfig.get_path("scripts")) / name

    def environment(self, extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The variables of a run, for tests that start the program themselves (pexpect)."""
        merged: dict[str, str | None] = {
            **os.environ,
            "OSS_HOME": str(self.home.path),
            **self.env,
            **(extra or {}),
        }
        return {key: value for key, value in merged.items() if value is not None}

    def run(
        self,
        *args: str | Path,
        input: str | bytes | None = None,  # noqa: A002  as in subprocess.run
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        timeout: float = 300,
    ) -> Outcome:
        """Run ``oss ARGS`` to its end. Without ``input``, stdin is empty."""
        words = tuple(str(arg) for arg in args)
        given = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            [str(self.program), *words],
            input=given or b"",
            capture_output=True,
            env=self.environment(env),
            cwd=cwd or self.home.cwd,
            timeout=timeout,
            check=False,
        )
        return Outcome(words, done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(
        self,
        *args: str | Path,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start ``oss ARGS`` with pipes, for a test that reads as it runs, or kills it."""
        return subprocess.Popen(
            [str(self.program), *(str(arg) for arg in args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(env),
            cwd=cwd or self.home.cwd,
        )

    def add_plugin(self, name: str, source: str | None = None, *, module: str = "") -> Path:
        """Install a plugin that only the runs of this object see; returns its folder.

        :param source: the text of the plugin's module; ``None`` names an existing ``module``.
        """
        site = self.home.path / "site-packages"
        module = module or f"plugin_{name.replace('-', '_')}"
        if source is not None:
            self.home.write(f"site-packages/{module}.py", source)
        info = f"site-packages/{name.replace('-', '_')}-1.0.dist-info"
        self.home.write(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        self.home.write(f"{info}/entry_points.txt", f"[oss.v1]\n{name} = {module}\n")
        before = self.env.get("PYTHONPATH") or os.environ.get("PYTHONPATH") or ""
        if str(site) not in before.split(os.pathsep):
            self.env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(site), before)))
        return site

    def use_fakes(self) -> None:
        """Add backend, model source (``fake:NAME``), persona, tool, retriever, embedder ``fake``.

        ``run("run", "--model", "fake:one", "--set", "backend.name=fake", "hello")`` echoes.
        """
        self.add_plugin("fakes", module="oss.testing.plugin")
