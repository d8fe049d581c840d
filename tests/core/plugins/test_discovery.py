"""Finding plugins: from metadata, through a cache that may be absent, damaged or unwritable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ConfigError
from oss.plugins import discovery
from oss.plugins.discovery import EntryPoint, find_entry_points, select

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli, OssHome


def cache_files(home: OssHome) -> list[Path]:
    return sorted((home.cache / "plugins").glob("entry-points-*.json"))


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[EntryPoint]:
        raise AssertionError("metadata was read")

    monkeypatch.setattr(discovery, "_read_metadata", fail)


def test_built_in_plugins_come_first(oss_cli: OssCli) -> None:
    oss_cli.add_plugin("aaa", "")
    rows = oss_cli.run("plugins", "list", "--json").ok().json()
    states = [row["state"] for row in rows if row["name"] in ("llamacpp", "aaa")]
    assert states == ["built in", "installed"]


def test_the_second_time_reads_no_metadata(
    oss_home: OssHome, request: pytest.FixtureRequest
) -> None:
    first = find_entry_points()
    assert "llamacpp" in {e.name for e in first}
    request.getfixturevalue("forbidden")
    assert find_entry_points() == first


def test_a_changed_folder_is_read_again(
    oss_home: OssHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    assert "late" not in {e.name for e in find_entry_points()}
    info = site / "late-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[oss.v1]\nlate = late\n")
    os.utime(site, ns=(1, 1))  # even where the clock is coarse
    assert EntryPoint("late", "late", "late", "1.0") in find_entry_points()


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 1}',
        "\x00\xff",
        "[" * 100_000,
        '{"version": 1, "key": "KEY", "value": [["only", "three", "words"]]}',
        '{"version": 1, "key": "KEY", "value": [[1, 2, 3, 4]]}',
        '{"version": 1, "key": "KEY", "value": [null]}',
        '{"version": 0, "key": "KEY", "value": []}',
    ],
)
def test_a_damaged_cache_is_written_anew(oss_home: OssHome, damage: str) -> None:
    whole = find_entry_points()
    (file,) = cache_files(oss_home)
    key = json.dumps(json.loads(file.read_text())["key"])
    file.write_text(damage.replace('"KEY"', key), encoding="latin-1")
    assert find_entry_points() == whole
    assert json.loads(file.read_text())["value"] == [list(e) for e in whole]


def test_a_cache_that_cannot_be_written_is_no_error(
    oss_home: OssHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    oss_home.write("cache", "a file where the folder should be")
    assert find_entry_points()
    monkeypatch.setenv("OSS_HOME", "/proc/nowhere")
    assert find_entry_points()


def test_many_writers_leave_a_whole_file(oss_home: OssHome) -> None:
    code = "from oss.plugins.discovery import find_entry_points as f; print(len(f()))"
    with ThreadPoolExecutor(6) as pool:
        runs = [
            pool.submit(subprocess.run, [sys.executable, "-c", code], capture_output=True)
            for _ in range(6)
        ]
    counts = {run.result().stdout.strip() for run in runs}
    assert counts == {str(len(find_entry_points())).encode()}
    assert {p.suffix for p in (oss_home.cache / "plugins").iterdir()} == {".json"}
    for file in cache_files(oss_home):
        assert json.loads(file.read_text())["value"]


def test_two_programs_of_one_environment_have_a_cache_each(oss_home: OssHome) -> None:
    find_entry_points()
    subprocess.run(
        [sys.executable, "-c", "from oss.plugins.discovery import *; find_entry_points()"],
        env={**os.environ, "PYTHONPATH": str(oss_home.cwd)},
        check=True,
    )
    assert len(cache_files(oss_home)) == 2


A, B, C = (EntryPoint(name, name, f"oss-{name}", "1") for name in "abc")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", []), (" ", []), ("b", [B]), ("c, a", [C, A]), ("a,a,", [A])],
)
def test_oss_plugins_selects(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: list[EntryPoint]
) -> None:
    monkeypatch.setenv("OSS_PLUGINS", value)
    assert select([A, B, C]) == expected


def test_oss_plugins_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OSS_PLUGINS", raising=False)
    assert select([A, B]) == [A, B]
    monkeypatch.setenv("OSS_PLUGINS", "a,z")
    with pytest.raises(ConfigError, match="'z'") as caught:
        select([A, B])
    assert caught.value.hint == "installed: a, b"
