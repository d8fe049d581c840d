from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ConfigError, ModelError
from oss.models import choose, choose_model, resolve_model
from oss.models.memory import MachineMemory
from oss.plugins.manager import Plugins, load_plugins
from oss.profile.schema import ModelTable
from oss.testing.gguf_file import TINY, write_gguf

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli, OssHome


@pytest.fixture
def plugins(oss_home: OssHome) -> Plugins:
    return load_plugins()


@pytest.fixture
def tiny(oss_home: OssHome) -> Path:
    return write_gguf(oss_home.cwd / "крошка.gguf")


@pytest.fixture
def huge(oss_home: OssHome) -> Path:
    """Small on disk; its context alone is more than any machine has."""
    values = {**TINY, "llama.context_length": 2**31, "llama.embedding_length": 2**20}
    return write_gguf(oss_home.cwd / "huge.gguf", values)


def test_a_path_just_works(plugins: Plugins, tiny: Path) -> None:
    for text in ("./крошка.gguf", "крошка.gguf", str(tiny), f"file:{tiny}"):
        model = resolve_model(text, plugins)
        assert (model.name, model.format) == (text, "gguf")
        assert model.path == tiny
        assert model.size == tiny.stat().st_size


def test_a_folder_is_the_hugging_face_form(plugins: Plugins, oss_home: OssHome) -> None:
    folder = oss_home.cwd / "modell"
    folder.mkdir()
    write_gguf(folder / "x.gguf")
    with pytest.raises(ModelError, match="without config") as caught:
        resolve_model("./modell", plugins)
    assert "x.gguf" in (caught.value.hint or "")
    (folder / "config.json").write_text("{}")
    assert resolve_model("modell", plugins).format == "hf"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("statrer", "did you mean 'starter'?"),
        ("gpt-oss-20", "did you mean 'gpt-oss-20b'?"),
        ("pip:x==1", "did you mean 'pypi:x==1'?"),
        ("owner/repo", "hf:owner/repo"),
        ("nothing-like-it", "oss model list"),
        ("x" * 5000, "oss model list"),
    ],
)
def test_unknown_names_have_a_hint(plugins: Plugins, text: str, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve_model(text, plugins)
    assert hint in (caught.value.hint or "")


def test_aliases_of_the_user(plugins: Plugins, oss_home: OssHome, tiny: Path) -> None:
    oss_home.write(
        "config/models.toml",
        f"""
        [alias]
        "мини" = "{tiny.as_posix()}"
        small = "starter"
        starter = "{tiny.as_posix()}"
        """,
    )
    assert resolve_model("мини", plugins).path == tiny
    assert resolve_model("starter", plugins).path == tiny
    with pytest.raises(ModelError, match="'small' is not here"):
        resolve_model("small", plugins)


@pytest.mark.parametrize("text", ["[alias\n", "[alias]\nx = 1\n", "x = 'y'\n", "alias = 3\n"])
def test_a_broken_alias_file_is_named(plugins: Plugins, oss_home: OssHome, text: str) -> None:
    file = oss_home.write("config/models.toml", text)
    with pytest.raises(ConfigError, match=r"models\.toml") as caught:
        resolve_model("starter", plugins)
    assert str(file) in caught.value.message


def test_the_first_that_is_here_and_fits(plugins: Plugins, tiny: Path, huge: Path) -> None:
    table = ModelTable(prefer=("gpt-oss-20b", str(huge), str(tiny)), context=2**31)
    assert choose_model(ModelTable(prefer=(str(tiny),)), plugins).skipped == ()
    small = ModelTable(prefer=table.prefer, context=16)
    assert choose_model(small, plugins).model.path == huge  # with 16 tokens it fits
    assert choose_model(table, plugins).model.path == tiny  # whose own context is 512


def test_what_was_skipped_is_said(plugins: Plugins, tiny: Path, huge: Path) -> None:
    table = ModelTable(prefer=("gpt-oss-20b", str(huge), str(tiny)), context=200_000)
    choice = choose_model(table, plugins)
    assert choice.model.path == tiny
    assert choice.skipped[0] == ("gpt-oss-20b", "is not here")
    assert choice.skipped[1][1].startswith("needs ")
    assert choice.skipped[1][1].endswith(" are free")
    assert choice.passed_over.startswith("gpt-oss-20b: not here; ")


def test_a_named_model_too_large_for_this_machine(plugins: Plugins, huge: Path) -> None:
    table = ModelTable(name=str(huge), context=200_000)
    with pytest.raises(ModelError, match="needs") as caught:
        choose_model(table, plugins)
    assert "model.check_memory=false" in (caught.value.hint or "")
    forced = ModelTable(name=str(huge), context=200_000, check_memory=False)
    assert choose_model(forced, plugins).model.path == huge


def test_memory_that_others_give_back_counts_up_to_what_there_is(
    plugins: Plugins, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = MachineMemory(2**30, 1000)
    monkeypatch.setattr(choose, "machine_memory", lambda gpu=True: found)
    table = ModelTable(name=str(tiny))
    with pytest.raises(ModelError, match="needs"):
        choose_model(table, plugins)
    assert choose_model(table, plugins, lent=lambda: 2**29).model.path == tiny
    found = MachineMemory(2000, 1000)
    with pytest.raises(ModelError, match="needs"):
        choose_model(table, plugins, lent=lambda: 2**29)


def test_nothing_here_says_what_to_pull(plugins: Plugins) -> None:
    table = ModelTable(prefer=("gpt-oss-120b", "starter"))
    with pytest.raises(ModelError) as caught:
        choose_model(table, plugins)
    assert "gpt-oss-120b, starter: not here" in caught.value.message
    assert (caught.value.hint or "").startswith("oss model pull ")
    with pytest.raises(ConfigError, match="names no model"):
        choose_model(ModelTable(), plugins)


def test_a_form_that_the_backend_cannot_open(plugins: Plugins, tiny: Path) -> None:
    with pytest.raises(ModelError, match="in the form 'gguf', and the backend opens hf"):
        choose_model(ModelTable(name=str(tiny)), plugins, formats=("hf",))


def test_a_broken_file_is_passed_over_by_preference_and_refused_by_name(
    plugins: Plugins, oss_home: OssHome, tiny: Path
) -> None:
    broken = oss_home.cwd / "broken.gguf"
    broken.write_bytes(tiny.read_bytes()[:-40_000])
    choice = choose_model(ModelTable(prefer=(str(broken), str(tiny))), plugins)
    assert choice.model.path == tiny
    assert "cut short" in choice.skipped[0][1]
    with pytest.raises(ModelError, match="cut short"):
        choose_model(ModelTable(name=str(broken)), plugins)


def test_show_on_the_command_line(oss_cli: OssCli, tiny: Path, oss_home: OssHome) -> None:
    shown = oss_cli.run("model", "show", "./крошка.gguf", "--context", "100").ok().stdout
    assert "40K" in shown
    assert "100 tokens of context" in shown
    assert "fits here        yes" in shown
    (oss_home.cwd / "text.gguf").write_text("не модель")
    failed = oss_cli.run("model", "show", "text.gguf").failed(4)
    assert "text.gguf is not a GGUF file" in failed.stderr
    assert "Traceback" not in failed.stderr
    failed = oss_cli.run("model", "show", "starterr").failed(4)
    assert failed.stderr == "error: unknown model 'starterr'\nhint: did you mean 'starter'?\n"


def test_list_on_the_command_line(oss_cli: OssCli) -> None:
    rows = oss_cli.run("model", "list", "--json").ok().json()
    assert {"starter", "gpt-oss-20b", "gpt-oss-120b"} <= {row["name"] for row in rows}
    assert not any(row["here"] for row in rows)
    empty = oss_cli.run("model", "list", "--here").ok()
    assert empty.stdout == ""
    assert "oss model pull starter" in empty.stderr
