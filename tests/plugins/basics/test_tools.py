from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oss.contracts.errors import UsageError
from oss_plugins.basics.arithmetic import Calculate
from oss_plugins.basics.clock import Now
from oss_plugins.basics.files import ListFiles, ReadFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    (folder / "заметки").mkdir(parents=True)
    (folder / "заметки" / "день.txt").write_text("Привет", encoding="utf-8")
    (folder / ".env").write_text("KEY=1")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    (tmp_path / "secret.txt").write_text("s")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "cp1251.txt").write_bytes("Привет".encode("cp1251"))
    monkeypatch.chdir(folder)
    return folder


async def test_reads_a_file_below(here: Path) -> None:
    assert await ReadFile().call({"path": "заметки/день.txt"}) == "Привет"
    assert await ReadFile().call({"path": str(here / "заметки" / "день.txt")}) == "Привет"
    assert not ReadFile.safe


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../secret.txt", "outside"),
        ("link.txt", "outside"),
        ("up/secret.txt", "outside"),
        ("/etc/passwd", "outside"),
        ("заметки/../../secret.txt", "outside"),
        (".env", "hidden"),
        (".git/config", "hidden"),
        ("a\0b", "no usable path"),
        ("absent", "no file"),
        ("заметки", "no file"),
        ("cp1251.txt", "UTF-8"),
    ],
)
async def test_refuses_the_rest(here: Path, path: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        await ReadFile().call({"path": path})


async def test_lists_what_may_be_read(here: Path) -> None:
    listed = (await ListFiles().call({})).splitlines()
    assert "заметки/день.txt" in listed
    assert not any(".env" in name or ".git" in name for name in listed)
    with pytest.raises(UsageError, match="outside"):
        await ListFiles().call({"folder": ".."})


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4", "14"),
        ("0.1 + 0.2", "0.3"),
        ("-(7 // 2) ** 2", "-9"),
        ("10 % 4", "2"),
        ("1/3", "0.333333333333333"),
        ("2 ** 0.5", "1.4142135623731"),
        ("2**100", str(2**100)),
    ],
)
async def test_calculates(expression: str, value: str) -> None:
    assert (await Calculate().call({"expression": expression})).startswith(value)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "9**9**9**9",
        "(9**999)**999",
        "1/0",
        "(-8)**0.5",
        "1e400 ** 0.5",
        "True + 1",
        "x",
        "",
        "(" * 500,
        "1+" * 600 + "1",
        "7**6000",
    ],
)
async def test_does_not_calculate(expression: str) -> None:
    with pytest.raises(UsageError):
        await Calculate().call({"expression": expression})


@pytest.mark.parametrize(("arguments", "end"), [({}, "day"), ({"time_zone": "Asia/Tokyo"}, "day")])
async def test_now(arguments: dict[str, Any], end: str) -> None:
    text = await Now().call(arguments)
    assert text.endswith(end)
    if arguments:
        assert "+09:00" in text


async def test_unknown_time_zone() -> None:
    with pytest.raises(UsageError, match="Mars"):
        await Now().call({"time_zone": "Mars/Base"})
