"""The manifest keeps what a person wrote into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.plugins import manifest
from oss.plugins.manifest import Entry

if TYPE_CHECKING:
    from oss.testing.program import OssHome

ECHO = Entry("oss-echo", "oss-echo>=1", plugins=("echo",))
LOCAL = Entry("oss_Local", "/дом/oss local", editable=True, plugins=("a", "b"))


def test_write_read_forget(oss_home: OssHome) -> None:
    with manifest.locked():
        manifest.add([ECHO, LOCAL])
    assert manifest.read() == [ECHO, LOCAL]
    with manifest.locked():
        assert manifest.remove("OSS.local")
        assert not manifest.remove("OSS.local")
    assert manifest.read() == [ECHO]
    with manifest.locked():
        assert manifest.remove("oss-echo")
        manifest.add([LOCAL])
    assert manifest.read() == [LOCAL]


def test_a_second_install_takes_the_place_of_the_first(oss_home: OssHome) -> None:
    manifest.add([LOCAL, ECHO])
    again = Entry("oss-local", "oss-local==2", plugins=("a",))
    manifest.add([again])
    assert manifest.read() == [again, ECHO]


def test_comments_stay(oss_home: OssHome) -> None:
    path = oss_home.write(
        "config/plugins.toml",
        """\
        # мои плагины
        [[plugin]]
        distribution = "oss-echo" # the parrot
        requirement = "oss-echo"
        """,
    )
    manifest.add([ECHO, LOCAL])
    text = path.read_text(encoding="utf-8")
    assert "# мои плагины" in text
    assert "# the parrot" in text
    assert manifest.read() == [ECHO, LOCAL]
