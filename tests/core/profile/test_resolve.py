"""Precedence, merging, origins and paths of resolved profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oss.contracts.errors import ConfigError, UsageError
from oss.profile import list_profiles, resolve_profile

if TYPE_CHECKING:
    from oss.testing.program import OssHome


def project(home: OssHome, name: str, text: str, folder: str = ".oss/profiles") -> Path:
    path = home.cwd / folder / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_each_step_of_precedence_beats_the_one_below(oss_home: OssHome) -> None:
    oss_home.write("config/profiles/low.toml", "[sampling]\ntemperature = 0.1\ntop_k = 1\nseed = 1")
    oss_home.write("config/profiles/top.toml", 'extends = "low"\n[sampling]\ntop_k = 2\nseed = 2')
    environ = {"OSS_SAMPLING_SEED": "3", "OSS_SAMPLING_TOP_P": "0.3"}
    resolved = resolve_profile("top", sets=["sampling.top_p=0.4"], environ=environ)
    sampling = resolved.profile.sampling
    assert (sampling.temperature, sampling.top_k) == (0.1, 2)
    assert (sampling.seed, sampling.top_p, sampling.min_p) == (3, 0.4, None)
    origins = {key: str(resolved.origins[f"sampling.{key}"]) for key in ("seed", "top_p", "min_p")}
    assert origins == {"seed": "$OSS_SAMPLING_SEED", "top_p": "--set", "min_p": "default"}


def test_every_value_has_its_file_and_line(oss_home: OssHome) -> None:
    low = oss_home.write("config/profiles/low.toml", "\n\n[memory]\noverflow = 'refuse'\n")
    top = oss_home.write(
        "config/profiles/top.toml",
        '''\
        extends = "low"
        # a comment = "not a key"
        [persona]
        system = """
        [model]
        name = "not a key either"
        """

        [model]
        prefer = [
            "a",  # first
            "b",
        ]
        context = 7
        ''',
    )
    resolved = resolve_profile("top")
    where = {key: (o.source, o.line) for key, o in resolved.origins.items()}
    assert where["memory.overflow"] == (str(low), 4)
    assert where["persona.system"] == (str(top), 4)
    assert where["model.prefer"] == (str(top), 10)
    assert where["model.context"] == (str(top), 14)
    assert where["model.name"] == ("default", None)
    assert resolved.files == (top, low)


def test_the_nearest_file_wins_and_may_extend_its_namesake(oss_home: OssHome) -> None:
    project(oss_home, "coder", 'extends = "coder"\n[model]\ncontext = 11')
    oss_home.write("config/profiles/coder.toml", 'extends = "coder"\n[sampling]\nseed = 12')
    resolved = resolve_profile("coder")
    assert resolved.profile.model.context == 11
    assert resolved.profile.sampling.seed == 12
    assert resolved.profile.persona.name == "coder"  # the one that ships
    assert [path.name for path in resolved.files] == ["coder.toml"] * 3 + ["base.toml"]
    found = {profile.name: profile for profile in list_profiles()}["coder"]
    assert (found.place, len(found.shadows)) == ("project", 2)


def test_folders_above_are_searched(oss_home: OssHome, monkeypatch: pytest.MonkeyPatch) -> None:
    project(oss_home, "here", "[model]\ncontext = 1")
    deep = oss_home.cwd / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert resolve_profile("here").profile.model.context == 1


def test_lists_replace_and_tables_merge(oss_home: OssHome) -> None:
    oss_home.write(
        "config/profiles/low.toml",
        """\
        [model]
        prefer = ["a", "b"]
        [persona.variables]
        one = "1"
        two = "2"
        [backend.llamacpp]
        threads = 2
        batch = 64
        [[adapter]]
        path = "x.gguf"
        [[adapter]]
        path = "y.gguf"
        """,
    )
    oss_home.write(
        "config/profiles/top.toml",
        """\
        extends = "low"
        [model]
        prefer = ["c"]
        [persona.variables]
        two = "zwei"
        [backend.llamacpp]
        threads = 3
        [[adapter]]
        path = "z.gguf"
        """,
    )
    resolved = resolve_profile("top")
    assert resolved.profile.model.prefer == ("c",)
    assert resolved.profile.persona.variables == {"one": "1", "two": "zwei"}
    assert resolved.profile.backend.options == {"llamacpp": {"threads": 3, "batch": 64}}
    assert [Path(a.path).name for a in resolved.profile.adapter] == ["z.gguf"]
    assert resolved.origins["adapter.0.path"].line == 9
    assert resolved.origins["adapter.0.scale"].source == "default"


def test_a_nearer_choice_puts_the_other_out_of_force(oss_home: OssHome) -> None:
    oss_home.write("config/profiles/low.toml", '[model]\nname = "x"\n[persona]\nname = "critic"')
    oss_home.write(
        "config/profiles/top.toml",
        'extends = "low"\n[model]\nprefer = ["y"]\n[persona]\nsystem = "Be brief."',
    )
    resolved = resolve_profile("top")
    assert (resolved.profile.model.name, resolved.profile.model.prefer) == (None, ("y",))
    assert (resolved.profile.persona.name, resolved.profile.persona.system) == (None, "Be brief.")
    over = resolve_profile("top", sets=["persona.name=critic", "model.name=z"]).profile
    assert (over.persona.name, over.persona.system) == ("critic", None)
    assert (over.model.name, over.model.prefer) == ("z", ("y",))


def test_paths_are_relative_to_the_file(oss_home: OssHome) -> None:
    path = oss_home.write(
        "elsewhere/p.toml",
        """\
        extends = "./sub/q.toml"
        [model]
        name = "./m.gguf"
        prefer = ["starter", "hf:a/b.gguf", "file:n.gguf", "models/o.gguf"]
        [persona]
        name = "./me.md"
        """,
    )
    oss_home.write("elsewhere/sub/q.toml", '[[adapter]]\npath = "a.gguf"')
    resolved = resolve_profile(str(path)).profile
    base = str(path.parent)
    assert resolved.model.name == f"{base}/m.gguf"
    assert resolved.model.prefer == (
        "starter",
        "hf:a/b.gguf",
        f"file:{base}/n.gguf",
        f"{base}/models/o.gguf",
    )
    assert resolved.persona.name == f"{base}/me.md"
    assert resolved.adapter[0].path == f"{base}/sub/a.gguf"


def test_a_path_given_by_set_is_left_to_the_working_directory() -> None:
    assert resolve_profile("base", sets=["model.name=./m.gguf"]).profile.model.name == "./m.gguf"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("persona.name=1984", "1984"),
        ("persona.name='true'", "true"),
        ("persona.name=Критик", "Критик"),
        ("persona.system=Отвечай = кратко", "Отвечай = кратко"),
        ('persona.variables={ тема = "a" }', None),
    ],
)
def test_set_takes_toml_or_text(text: str, value: str | None) -> None:
    if value is None:  # a bare key of TOML is ASCII: the value is then a text, not a table
        with pytest.raises(ConfigError, match=r"persona\.variables"):
            resolve_profile("base", sets=[text])
        return
    persona = resolve_profile("base", sets=[text]).profile.persona
    assert value in (persona.name, persona.system)


def test_set_of_one_entry_of_a_table_of_a_plugin() -> None:
    options = resolve_profile("base", sets=["backend.llamacpp.threads=2"]).profile.backend.options
    assert options == {"llamacpp": {"threads": 2}}


def test_environment_ignores_what_is_not_ours() -> None:
    environ = {
        "OSS_HOME": "/x",
        "OSS_PLUGINS": "",
        "OSS_TRACE_HOOKS": "1",
        "OSS_ACCESS_KEY_ID": "of another program",
        "OSS_PERSONA_VARIABLES_TOPIC": "chess",
        "OSS_MODEL_NAME": "1984",
    }
    profile = resolve_profile("base", environ=environ).profile
    assert profile.model.name == "1984"
    assert profile.persona.variables == {"topic": "chess"}


def test_environment_reaches_options_of_plugins() -> None:
    from oss.plugins.manager import load_plugins

    environ = {"OSS_BACKEND_LLAMACPP_GPU_LAYERS": "3"}
    resolved = resolve_profile("base", plugins=load_plugins(), environ=environ)
    assert resolved.profile.backend.options == {"llamacpp": {"gpu_layers": 3}}
    assert str(resolved.origins["backend.llamacpp.gpu_layers"]) == (
        "$OSS_BACKEND_LLAMACPP_GPU_LAYERS"
    )


def test_a_misspelled_variable_of_a_known_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="OSS_MODEL_NMAE") as caught:
        resolve_profile("base", environ={"OSS_MODEL_NMAE": "x"})
    assert caught.value.hint == "did you mean OSS_MODEL_NAME?"


def test_no_key_collides_with_a_reserved_variable() -> None:
    from oss.profile.overrides import RESERVED, known_keys

    names = ["OSS_" + "_".join(key).upper() for key in known_keys()]
    assert not RESERVED & set(names)
    assert len(names) == len(set(names))


def test_hash_follows_values_alone(oss_home: OssHome) -> None:
    oss_home.write("config/profiles/a.toml", '[sampling]\nseed = 1\ntop_k = 2\n[model]\nname="m"')
    oss_home.write(
        "config/profiles/b.toml",
        'extends = "c"\ndescription = "other"\n[model]\nname="m"\n[sampling]\ntop_k = 2',
    )
    oss_home.write("config/profiles/c.toml", "[sampling]\nseed = 1")
    assert resolve_profile("a").hash == resolve_profile("b").hash
    assert resolve_profile("a").hash != resolve_profile("a", sets=["sampling.seed=2"]).hash


def test_the_default_profile_is_a_setting(oss_home: OssHome) -> None:
    assert resolve_profile(None).name == "base"
    oss_home.write("config/settings.toml", 'default_profile = "coder"')
    assert resolve_profile(None).name == "coder"
    oss_home.write("config/settings.toml", "default_profile = 3")
    with pytest.raises(ConfigError, match=r"settings\.toml:1: default_profile"):
        resolve_profile(None)


def test_cyrillic_names_values_and_folders(
    oss_home: OssHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = oss_home.cwd / "Мои документы"
    folder.mkdir()
    monkeypatch.chdir(folder)
    # 'й' as macOS writes it in file names: two characters
    decomposed = "мо\u0438\u0306"
    path = folder / ".oss" / "profiles" / f"{decomposed}.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        'extends = "starter"\n[persona]\nsystem = "Отвечай по-русски."\n'
        '[persona.variables]\n"тема" = "шахматы"\n',
        encoding="utf-8",
    )
    resolved = resolve_profile("мой")
    assert resolved.name == "мой"
    assert resolved.profile.persona.system == "Отвечай по-русски."
    assert resolved.origins['persona.variables."тема"'].line == 5


def test_an_unknown_engine_is_left_alone_and_a_misspelled_one_is_not(oss_home: OssHome) -> None:
    from oss.plugins.manager import load_plugins

    plugins = load_plugins()
    oss_home.write("config/profiles/a.toml", "[backend.of_another_machine]\nx = 1")
    assert resolve_profile("a", plugins=plugins).profile.backend.options
    oss_home.write("config/profiles/b.toml", "[backend]\n[backend.lamacpp]\nx = 1")
    with pytest.raises(ConfigError, match=r"b\.toml:3: backend\.lamacpp: unknown backend"):
        resolve_profile("b", plugins=plugins)


def test_set_refuses_what_is_no_key() -> None:
    for text in ("nothing", "=3", "a..b=3"):
        with pytest.raises(ConfigError, match="--set"):
            resolve_profile("base", sets=[text])
    with pytest.raises(ConfigError, match="belongs to the file"):
        resolve_profile("base", sets=["extends=coder"])


def test_names_that_no_file_can_have() -> None:
    from oss.profile.write import check_name

    assert check_name(" мой профиль ") == "мой профиль"
    for name in ("", ".", "..", "a/b", "a\\b", "x.toml", "a\nb", ".hidden", "q" * 101, "a:b"):
        with pytest.raises(UsageError):
            check_name(name)
