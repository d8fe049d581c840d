"""Everything that can be wrong with a profile: one line, a hint, exit code 3, by the program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from oss.testing.program import OssCli, OssHome

BROKEN = {
    "toml": ('[model]\nname = "x\n', r"p\.toml:2: broken TOML", "quotes"),
    "unclosed list": ("[model]\nprefer = [1,\n", r"p\.toml:\d: broken TOML", None),
    "twice": ("[model]\ncontext = 1\ncontext = 2\n", r"p\.toml:3: broken TOML", None),
    "key": (
        "[sampling]\n\ntemprature = 1\n",
        r"p\.toml:3: sampling\.temprature: unknown key",
        "did you mean 'temperature'",
    ),
    "table": ("[modle]\nname = 'x'\n", r"p\.toml:1: modle: unknown key", "did you mean 'model'"),
    "key of another table": (
        "temperature = 1\n",
        r"p\.toml:1: temperature: unknown key",
        "did you mean 'sampling.temperature'",
    ),
    "type": (
        "[model]\ncontext = '4k'\n",
        r"p\.toml:2: model\.context: expected an integer.*'4k'",
        None,
    ),
    "range": ("[sampling]\ntop_p = 1.5\n", r"p\.toml:2: sampling\.top_p: expected .*1", None),
    "choice": (
        "[memory]\noverflow = 'sumarise'\n",
        r"p\.toml:2: memory\.overflow: expected one of",
        "did you mean 'summarise'",
    ),
    "list": ("[model]\nprefer = 'x'\n", r"p\.toml:2: model\.prefer: expected a list", r'\["x"\]'),
    "table for a value": (
        "[model.context]\na = 1\n",
        r"p\.toml:1: model\.context: expected an integer",
        None,
    ),
    "value for a table": ("model = 'x'\n", r"p\.toml:1: model: expected a table", r"\[model\]"),
    "adapter": (
        "[[adapter]]\nscale = 1\n",
        r"p\.toml:1: adapter\.0: the key 'path' is missing",
        None,
    ),
    "second adapter": (
        "[[adapter]]\npath='a'\n[[adapter]]\npath='b'\nscal = 1\n",
        r"p\.toml:5: adapter\.1\.scal: unknown key",
        "did you mean 'scale'",
    ),
    "one adapter": ("[adapter]\npath = 'a'\n", r"p\.toml:1: adapter: expected an array", r"\[\["),
    "both personas": (
        "[persona]\nname='critic'\nsystem='x'\n",
        r"p\.toml:3: persona\.system: .*exclude",
        None,
    ),
    "option": (
        "[backend.llamacpp]\nthread = 1\n",
        r"p\.toml:2: backend\.llamacpp\.thread: 'llamacpp' has no such option",
        "did you mean 'threads'",
    ),
    "option's type": (
        "[backend.llamacpp]\nthreads = 'all'\n",
        r"p\.toml:2: backend\.llamacpp\.threads: expected an integer",
        "threads",
    ),
    "option's range": (
        "[backend.llamacpp]\nthreads = -5\n",
        r"p\.toml:2: backend\.llamacpp\.threads: expected at least",
        None,
    ),
    "backend": (
        "[backend]\nname = 'lamacpp'\n",
        r"p\.toml:2: backend\.name: unknown backend",
        "did you mean 'llamacpp'",
    ),
    "extends": (
        "extends = 'stater'\n",
        r"p\.toml:1: extends: unknown profile 'stater'",
        "did you mean 'starter'",
    ),
    "extends a path": (
        "\nextends = './no.toml'\n",
        r"p\.toml:2: extends: .*no\.toml does not",
        None,
    ),
    "extends a number": ("extends = 3\n", r"p\.toml:1: extends: expected a text", None),
    "extends itself": ("extends = 'p'\n", r"p\.toml:1: extends: no profile 'p' beyond", None),
    "deep": ("a = " + "[" * 5000 + "]" * 5000, r"p\.toml.*(nested|broken)", None),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_one_line_with_file_line_and_key(
    oss_home: OssHome, oss_cli: OssCli, fault: str
) -> None:
    text, message, hint = BROKEN[fault]
    path = oss_home.write("config/profiles/p.toml", "")
    path.write_text(text, encoding="utf-8")
    outcome = oss_cli.run("profile", "show", "p").failed(3)
    lines = outcome.stderr.splitlines()
    assert outcome.stdout == ""
    assert len(lines) <= 2, outcome.stderr
    assert re.match(rf"error: .*{message}", lines[0]), lines[0]
    if hint:
        assert re.search(hint, lines[1]), lines[1]
    # `check` finds the same, and `list` still lists
    checked = oss_cli.run("profile", "check", "p").failed(3)
    assert re.search(message, checked.stdout), checked.stdout
    assert "coder" in oss_cli.run("profile", "list").ok().stdout


def test_bytes_that_are_no_text(oss_home: OssHome, oss_cli: OssCli) -> None:
    path = oss_home.write("config/profiles/p.toml", "")
    path.write_bytes(b"[model]\nname = '\xff'\n")
    outcome = oss_cli.run("profile", "show", "p").failed(3)
    assert "p.toml:2: not UTF-8 (byte 0xff)" in outcome.stderr
    assert "hint: save the file as UTF-8" in outcome.stderr
    path.write_bytes("\ufeff[model]\r\nname = 'имя'\r\n".encode())  # as Notepad saves
    assert "имя" in oss_cli.run("profile", "show", "p").ok().stdout


def test_a_folder_and_a_huge_file_are_no_profiles(oss_home: OssHome, oss_cli: OssCli) -> None:
    (oss_home.config / "profiles" / "p.toml").mkdir(parents=True)
    assert "is not a file" in oss_cli.run("profile", "show", "p").failed(3).stderr
    big = oss_home.write("config/profiles/big.toml", "")
    with big.open("wb") as file:
        file.truncate(3_000_000_000)
    assert "larger than" in oss_cli.run("profile", "show", "big").failed(3).stderr


def test_an_unreadable_file(oss_home: OssHome, oss_cli: OssCli) -> None:
    path = oss_home.write("config/profiles/p.toml", "")
    path.unlink()
    path.symlink_to(path)  # a link to itself cannot be read by root either
    outcome = oss_cli.run("profile", "show", "p").failed(3)
    assert re.search(r"error: cannot read .*p\.toml: ", outcome.stderr)
    assert "hint: " in outcome.stderr


def test_unknown_profile(oss_cli: OssCli) -> None:
    outcome = oss_cli.run("profile", "show", "codr").failed(3)
    assert outcome.stderr == "error: unknown profile 'codr'\nhint: did you mean 'coder'?\n"
    assert "known: analyst" in oss_cli.run("profile", "show", "Ж").failed(3).stderr
    assert "does not exist" in oss_cli.run("profile", "show", "./x.toml").failed(3).stderr


def test_a_circle_is_shown(oss_home: OssHome, oss_cli: OssCli) -> None:
    oss_home.write("config/profiles/a.toml", 'extends = "b"')
    oss_home.write("config/profiles/b.toml", 'extends = "./c.toml"')
    oss_home.write("config/profiles/c.toml", 'extends = "a"')
    outcome = oss_cli.run("profile", "show", "a").failed(3)
    assert re.search(
        r"circular extends: \S*a\.toml -> \S*b\.toml -> \S*c\.toml -> \S*a\.toml$",
        outcome.stderr.splitlines()[0],
    )
    assert "circular" in oss_cli.run("profile", "check").failed(3).stdout


def test_a_home_that_cannot_be_written(oss_home: OssHome, oss_cli: OssCli) -> None:
    blocked = oss_home.path / "a file"
    blocked.write_text("")
    env = {"OSS_HOME": str(blocked)}
    assert "coder" in oss_cli.run("profile", "list", env=env).ok().stdout
    outcome = oss_cli.run("profile", "new", "mine", env=env).failed(10)
    assert re.match(r"error: cannot write .*mine\.toml: ", outcome.stderr)
    assert "hint: " in outcome.stderr
    outcome = oss_cli.run("persona", "new", "mine", env=env).failed(10)
    assert re.match(r"error: cannot write .*mine\.toml: ", outcome.stderr)


def test_all_faults_are_reported_together(oss_home: OssHome, oss_cli: OssCli) -> None:
    oss_home.write("config/profiles/p.toml", "x = 1\n[model]\ncontext = -1\nnaem = 'x'\n")
    outcome = oss_cli.run("profile", "check", "p", "starter", "--json").failed(3)
    bad, good = outcome.json()
    assert [problem["key"] for problem in bad["problems"]] == ["x", "model.context", "model.naem"]
    assert good == {"name": "starter", "path": good["path"], "problems": []}


def test_check_finds_missing_parts(oss_home: OssHome, oss_cli: OssCli) -> None:
    oss_home.write(
        "config/profiles/p.toml",
        """\
        [persona]
        name = "critc"
        [tools]
        allow = ["no-such-tool"]
        [[adapter]]
        path = "absent.gguf"
        """,
    )
    outcome = oss_cli.run("profile", "check", "p").failed(3)
    for text in (
        "p.toml:2: persona.name: unknown persona 'critc'",
        "did you mean 'critic'?",
        "p.toml:4: tools.allow: unknown tool 'no-such-tool'",
        "p.toml:6: adapter.0.path: ",
    ):
        assert text in outcome.stdout


def test_check_renders_the_persona_with_the_variables(oss_home: OssHome, oss_cli: OssCli) -> None:
    oss_home.write("config/personas/t.toml", "system = '{{ topic }}'")
    oss_home.write("config/profiles/p.toml", "[persona]\nname = 't'\n")
    outcome = oss_cli.run("profile", "check", "p").failed(3)
    assert "the variable 'topic' has no value" in outcome.stdout
    oss_home.write(
        "config/profiles/p.toml", "[persona]\nname = 't'\n[persona.variables]\ntopic = 'x'"
    )
    oss_cli.run("profile", "check", "p").ok()
