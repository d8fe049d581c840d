"""Writing profiles: new files, single keys, the editor."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ConfigError
from oss.profile import resolve_profile
from oss.profile.write import set_keys, with_keys

if TYPE_CHECKING:
    from oss.testing.program import OssCli, OssHome

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_new_writes_a_file_that_explains_every_key(oss_home: OssHome, oss_cli: OssCli) -> None:
    outcome = oss_cli.run("profile", "new", "mine", "--model", "starter").ok()
    path = oss_home.config / "profiles" / "mine.toml"
    assert outcome.stdout.strip() == str(path)
    text = path.read_text(encoding="utf-8")
    assert tomllib.loads(text)["model"] == {"name": "starter"}
    # with all comments that show a key made keys, the file is a valid profile but for the one
    # choice it must make itself
    lines = [
        line.removeprefix("# ") if " = " in line or "[[" in line else line
        for line in text.splitlines()
        if not line.startswith("# system = ")
    ]
    path.write_text("\n".join(line for line in lines if not line.startswith("#")), encoding="utf-8")
    shown = resolve_profile("mine").profile
    assert shown.sampling.temperature == 0.7
    assert shown.adapter[0].name == "my-style"
    assert shown.tools.max_rounds == 8


def test_new_shows_every_key_of_the_schema() -> None:
    from oss.profile.check import schema_keys
    from oss.profile.schema import Profile
    from oss.profile.write import new_profile_text

    text = new_profile_text("x", {})
    for info in schema_keys(Profile):
        assert f"# {info.key[-1]} = " in text, info.key
        assert info.description in text, info.key
        assert info.description, info.key


def test_new_does_not_overwrite(oss_home: OssHome, oss_cli: OssCli) -> None:
    path = oss_home.write("config/profiles/mine.toml", "# dear to me\n")
    outcome = oss_cli.run("profile", "new", "mine").failed(3)
    assert "exists already" in outcome.stderr
    assert path.read_text() == "# dear to me\n"
    oss_cli.run("profile", "new", "mine", "--force").ok()
    assert path.read_text() != "# dear to me\n"


def test_new_refuses_before_it_writes(oss_home: OssHome, oss_cli: OssCli) -> None:
    assert "unknown profile 'nobody'" in (
        oss_cli.run("profile", "new", "mine", "--extends", "nobody").failed(3).stderr
    )
    assert "unknown persona 'nobody'" in (
        oss_cli.run("profile", "new", "mine", "--persona", "nobody").failed(3).stderr
    )
    oss_cli.run("profile", "new", "../mine").failed(2)
    assert not (oss_home.config / "profiles").exists()


def test_new_of_a_shipped_name_stands_on_it(oss_home: OssHome, oss_cli: OssCli) -> None:
    oss_cli.run("profile", "new", "coder").ok()
    assert resolve_profile("coder").profile.persona.name == "coder"
    assert resolve_profile("coder").files[0] == oss_home.config / "profiles" / "coder.toml"
    # a second time it still stands on the shipped one
    oss_cli.run("profile", "new", "coder", "--force").ok()
    assert resolve_profile("coder").profile.persona.name == "coder"


def test_new_here_in_cyrillic(oss_home: OssHome, oss_cli: OssCli) -> None:
    oss_cli.run("profile", "new", "мой код", "--here", "--description", "Для работы").ok()
    assert (oss_home.cwd / ".oss" / "profiles" / "мой код.toml").is_file()
    assert "Для работы" in oss_cli.run("profile", "list").ok().stdout
    shown = oss_cli.run("profile", "show", "мой код", "--json").ok().json()
    assert shown["values"]["description"]["value"] == "Для работы"
    assert shown["values"]["description"]["line"] == 9


def test_the_first_line_names_a_schema_that_is_there(oss_home: OssHome, oss_cli: OssCli) -> None:
    import json

    oss_cli.run("profile", "new", "mine").ok()
    folder = oss_home.config / "profiles"
    first = (folder / "mine.toml").read_text().splitlines()[0]
    schema = json.loads((folder / first.removeprefix("#:schema ")).read_text())
    assert "threads" in schema["$defs"]["BackendTable"]["properties"]["llamacpp"]["properties"]


def test_set_keeps_comments_and_order(oss_home: OssHome, oss_cli: OssCli) -> None:
    path = oss_home.write(
        "config/profiles/mine.toml",
        """\
        # my settings
        extends = "base"

        [sampling]   # how it talks
        top_p = 0.9  # not too wild
        # temperature = 0.7

        [model]
        # best first
        prefer = ["a"]
        """,
    )
    oss_cli.run(
        "profile",
        "set",
        "mine",
        "sampling.top_p=0.8",
        "sampling.temperature=0",
        'model.prefer=["b", "c"]',
        "persona.name=critic",
        "backend.llamacpp.threads=2",
    ).ok()
    assert path.read_text() == (
        "# my settings\n"
        'extends = "base"\n'
        "\n"
        "[sampling]   # how it talks\n"
        "top_p = 0.8  # not too wild\n"
        "temperature = 0\n"
        "\n"
        "[model]\n"
        "# best first\n"
        'prefer = ["b", "c"]\n'
        "\n"
        "[persona]\n"
        'name = "critic"\n'
        "\n"
        "[backend.llamacpp]\n"
        "threads = 2\n"
    )


@pytest.mark.parametrize("value", ["sampling.temperature=hot", "smapling.seed=1", "model=3"])
def test_set_writes_nothing_wrong(oss_home: OssHome, oss_cli: OssCli, value: str) -> None:
    path = oss_home.write("config/profiles/mine.toml", "[model]\ncontext = 1\n")
    oss_cli.run("profile", "set", "mine", "sampling.seed=1", value).failed(3)
    assert path.read_text() == "[model]\ncontext = 1\n"


def test_set_refuses_what_ships(oss_cli: OssCli) -> None:
    outcome = oss_cli.run("profile", "set", "coder", "sampling.seed=1").failed(3)
    assert "oss profile new coder" in outcome.stderr


def test_set_reaches_into_an_array() -> None:
    text = '[[adapter]]\npath = "a"\n[[adapter]]\npath = "b"\n'
    changed = tomllib.loads(with_keys(text, [(("adapter", "1", "scale"), 0.5)]))
    assert changed["adapter"][1] == {"path": "b", "scale": 0.5}
    with pytest.raises(ConfigError, match="no entry 2"):
        with_keys(text, [(("adapter", "2", "scale"), 0.5)])


def test_writing_keeps_permissions_and_links(oss_home: OssHome) -> None:
    real = oss_home.write("elsewhere/mine.toml", "[model]\ncontext = 1\n")
    real.chmod(0o600)
    link = oss_home.config / "profiles" / "mine.toml"
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    set_keys(link, [(("model", "context"), 2)])
    assert link.is_symlink()
    assert real.read_text() == "[model]\ncontext = 2\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert os.listdir(real.parent) == ["mine.toml"]  # noqa: PTH208


def editor(home: OssHome, old: str, new: str) -> dict[str, str]:
    """An $EDITOR that replaces one text by another."""
    script = home.write(
        "editor.py",
        f"""\
        import pathlib, sys
        path = pathlib.Path(sys.argv[1])
        path.write_text(path.read_text("utf-8").replace({old!r}, {new!r}), "utf-8")
        """,
    )
    return {"EDITOR": f'"{sys.executable}" "{script}"', "VISUAL": ""}


def test_edit_replaces_only_by_a_good_text(oss_home: OssHome, oss_cli: OssCli) -> None:
    path = oss_home.write("config/profiles/мой.toml", 'extends = "coder"\n[sampling]\nseed = 1\n')
    outcome = oss_cli.run("profile", "edit", "мой", env=editor(oss_home, "seed", "sede")).failed(3)
    assert ".мой.edit.toml:3: sampling.sede: unknown key" in outcome.stderr
    assert "is unchanged; your text is kept in" in outcome.stderr
    assert "seed = 1" in path.read_text()
    assert "мой.edit" not in oss_cli.run("profile", "list").ok().stdout
    # the next edit goes on with the kept text
    fixed = editor(oss_home, "sede = 1", "seed = 2")
    outcome = oss_cli.run("profile", "edit", "мой", env=fixed).ok()
    assert "going on with" in outcome.stderr
    assert path.read_text() == 'extends = "coder"\n[sampling]\nseed = 2\n'
    assert [p.name for p in path.parent.iterdir()] == ["мой.toml"]


def test_edit_of_a_broken_profile_mends_it(oss_home: OssHome, oss_cli: OssCli) -> None:
    path = oss_home.write("config/profiles/p.toml", "[sampling\nseed = 1\n")
    oss_cli.run("profile", "edit", "p", env=editor(oss_home, "[sampling", "[sampling]")).ok()
    assert path.read_text() == "[sampling]\nseed = 1\n"


def test_edit_without_a_change_or_an_editor(oss_home: OssHome, oss_cli: OssCli) -> None:
    path = oss_home.write("config/profiles/p.toml", "[sampling]\nseed = 1\n")
    assert "unchanged" in (
        oss_cli.run("profile", "edit", "p", env=editor(oss_home, "x", "x")).ok().stderr
    )
    env = {"EDITOR": "no-such-editor", "VISUAL": ""}
    outcome = oss_cli.run("profile", "edit", "p", env=env).failed(3)
    assert "hint: set EDITOR" in outcome.stderr
    assert [p.name for p in path.parent.iterdir()] == ["p.toml"]
    assert "ships with oss" in oss_cli.run("profile", "edit", "coder").failed(3).stderr


def test_shown_as_toml_it_is_the_same_profile(oss_home: OssHome, oss_cli: OssCli) -> None:
    oss_home.write(
        "config/profiles/p.toml",
        """\
        extends = "gpt-oss-120b"
        [persona.variables]
        a = "b"
        [[adapter]]
        path = "/x/a.gguf"
        [[adapter]]
        path = "/x/b.gguf"
        scale = 0.5
        """,
    )
    flat = oss_home.cwd / "flat.toml"
    flat.write_text(oss_cli.run("profile", "show", "p", "--toml").ok().stdout, encoding="utf-8")
    assert resolve_profile(str(flat)).hash == resolve_profile("p").hash
    assert resolve_profile(str(flat)).profile.extends is None


def test_show_prints_every_value_with_its_origin(oss_cli: OssCli) -> None:
    outcome = oss_cli.run(
        "profile", "show", "coder", "--set", "sampling.seed=7", env={"OSS_MODEL_CONTEXT": "512"}
    ).ok()
    rows = {line.split()[0]: line for line in outcome.stdout.splitlines()}
    assert rows["sampling.seed"].split() == ["sampling.seed", "7", "--set"]
    assert rows["model.context"].split() == ["model.context", "512", "$OSS_MODEL_CONTEXT"]
    assert rows["tools.consent"].split() == ["tools.consent", '"ask"', "default"]
    assert rows["persona.name"].split()[2] == "shipped:coder.toml:8"
    assert "\x1b" not in outcome.stdout
