"""Adapters on disk: whole or not there, found by name, true to their cards."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from oss.adapters import (
    BaseCard,
    Card,
    find_adapter,
    list_adapters,
    locate,
    read_card,
    remove_adapter,
    shown_to,
    staged,
)
from oss.adapters.card import CARD, GGUF, damage
from oss.adapters.compare import correlation, differences
from oss.adapters.registry import adapters_dir, training_dir
from oss.contracts.adapter import AdapterRef
from oss.contracts.errors import ConfigError, ModelError, StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oss.testing.program import OssHome


def make(name: str, *, replace: bool = False, method: str = "lora", gguf: bool = True) -> Path:
    with staged(name, replace=replace) as (folder, finish):
        (folder / "adapter_model.safetensors").write_bytes(b"weights")
        (folder / "adapter_config.json").write_text("{}")
        if gguf:
            (folder / GGUF).write_bytes(b"GGUF")
        return finish(Card(name=name, method=method, base=BaseCard(name="starter"))).folder


def test_an_adapter_is_listed_found_and_removed(oss_home: OssHome) -> None:
    folder = make("капитан")
    assert [each.name for each in list_adapters()] == ["капитан"]
    found = find_adapter("капитан")
    assert found.folder == folder
    assert found.card.base.name == "starter"
    assert found.gguf == folder / GGUF
    training_dir("капитан").mkdir(parents=True)
    assert remove_adapter("капитан") > 0
    assert not list_adapters()
    assert not training_dir("капитан").exists()


def test_what_is_not_finished_is_not_there(oss_home: OssHome) -> None:
    def half() -> None:
        with staged("half") as (folder, _):
            (folder / "adapter_model.safetensors").write_bytes(b"wei")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert not list_adapters()
    assert list(adapters_dir().iterdir()) == []


def test_a_killed_process_leaves_no_adapter_that_looks_whole(oss_home: OssHome) -> None:
    leftover = adapters_dir() / ".mine.abc"
    leftover.mkdir(parents=True)
    (leftover / CARD).write_text("{}")
    assert not list_adapters()
    with pytest.raises(ModelError, match="no adapter 'mine'"):
        find_adapter("mine")


def test_a_name_is_taken_until_it_is_replaced(oss_home: OssHome) -> None:
    make("mine")
    with pytest.raises(UsageError, match="already"):
        make("mine", method="dora")
    assert find_adapter("mine").card.method == "lora"
    make("mine", replace=True, method="dora")
    assert find_adapter("mine").card.method == "dora"
    assert len(list(adapters_dir().iterdir())) == 1


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b", "", "a b", "-x"])
def test_names_that_lead_elsewhere(oss_home: OssHome, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        make(name)


def test_a_misspelled_name_gets_the_nearest(oss_home: OssHome) -> None:
    make("captain")
    with pytest.raises(ModelError) as caught:
        find_adapter("captian")
    assert "captain" in str(caught.value.hint)
    with pytest.raises(ConfigError) as wrong:
        locate("captian")
    assert "captain" in str(wrong.value.hint)


def test_damage_is_seen(oss_home: OssHome) -> None:
    folder = make("mine")
    card = read_card(folder)
    assert damage(folder, card) == []
    (folder / "adapter_model.safetensors").write_bytes(b"weightz")
    (folder / GGUF).unlink()
    assert damage(folder, card) == [
        "adapter.gguf is missing",
        "adapter_model.safetensors was changed after it was made",
    ]


@pytest.mark.parametrize("text", ["", "{", '{"name": 1}', '{"name": "x", "method": "lora"}'])
def test_a_broken_card_names_its_file(oss_home: OssHome, text: str) -> None:
    folder = make("mine")
    (folder / CARD).write_text(text)
    with pytest.raises(ModelError, match=CARD):
        find_adapter("mine")


def test_an_engine_gets_the_form_that_it_opens(oss_home: OssHome, tmp_path: Path) -> None:
    folder = make("mine")
    ref = locate("mine", None, 0.5)
    assert (ref.name, ref.path, ref.scale) == ("mine", folder, 0.5)
    assert shown_to(ref, ("gguf",)).path == folder / GGUF
    assert shown_to(ref, ("hf",)) == ref
    file = tmp_path / "other.gguf"
    file.write_bytes(b"GGUF")
    assert shown_to(locate(str(file)), ("gguf",)).path == file
    make("dora", gguf=False)
    with pytest.raises(ConfigError, match="no GGUF form"):
        shown_to(AdapterRef("dora", find_adapter("dora").folder), ("gguf",))


def test_differences_of_cards(oss_home: OssHome) -> None:
    make("one")
    make("two", method="dora")
    found = differences(find_adapter("one"), find_adapter("two"))
    assert [key for key, *_ in found] == ["method", "name"]


def test_correlation() -> None:
    line = [(float(n), 2.0 * n + 1) for n in range(9)]
    assert correlation(line) == pytest.approx(1)
    assert correlation([(a, -b) for a, b in line]) == pytest.approx(-1)
    assert correlation([(1.0, b) for _, b in line]) == 0
    assert correlation(line[:2]) == 0


def test_what_a_killed_process_left_goes_with_the_next(oss_home: OssHome) -> None:
    make("mine.2")
    left = adapters_dir() / ".mine.abcd1234"
    other = adapters_dir() / ".mine.2.abcd1234"
    for folder in (left, other):
        folder.mkdir()
        (folder / "half").write_bytes(b"x")
    make("mine")
    assert not left.exists()
    assert other.exists()
    assert [adapter.name for adapter in list_adapters()] == ["mine", "mine.2"]


def test_a_process_killed_while_it_replaced_an_adapter(oss_home: OssHome) -> None:
    """Between the two renames the old one lies beside its place, and nothing in it."""
    folder = make("mine")
    folder.rename(adapters_dir() / ".mine.abcd1234.old")
    with pytest.raises(UsageError, match="already"):
        make("mine", method="dora")
    assert find_adapter("mine").card.method == "lora"
    (adapters_dir() / ".mine.abcd1234.old").mkdir()
    make("mine", method="dora", replace=True)
    assert [path.name for path in adapters_dir().iterdir()] == ["mine"]
    assert find_adapter("mine").card.method == "dora"


@pytest.fixture
def small_disk(oss_home: OssHome) -> Iterator[Path]:
    """The adapters' folder on a disk of 200 KB, where this machine lets one be made."""
    adapters_dir().mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(adapters_dir())]
    try:
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("no small disk can be made here")
    yield adapters_dir()
    subprocess.run(["umount", str(adapters_dir())], check=True)


def fill(size: int, fault: Exception | None = None) -> None:
    with staged("mine", replace=True) as (folder, finish):
        (folder / "adapter_model.safetensors").write_bytes(b"x" * size)
        if fault is not None:
            raise fault
        finish(Card(name="mine", method="lora", base=BaseCard(name="starter")))


def test_a_full_disk_leaves_what_was_there(small_disk: Path) -> None:
    make("mine")
    with pytest.raises(StorageError, match="is full"):
        fill(500_000)
    assert [adapter.name for adapter in list_adapters()] == ["mine"]
    assert not damage(find_adapter("mine").folder, find_adapter("mine").card)


def test_a_library_that_does_not_name_the_full_disk(small_disk: Path) -> None:
    with pytest.raises(StorageError):
        fill(180 << 10, RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos"))


def test_another_fault_is_not_put_down_to_the_disk(oss_home: OssHome) -> None:
    with pytest.raises(RuntimeError, match="unexpected pos"), staged("mine"):
        raise RuntimeError("unexpected pos 64 vs 0")
