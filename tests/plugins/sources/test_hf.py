from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.servers import COMMIT, Answer, Site, add_repository, serve, wait_for

if TYPE_CHECKING:
    from oss.testing.program import OssCli

REPO = "owner/Tiny-GGUF"
FILE = f"/{REPO}/resolve/{COMMIT}/Tiny-Q4_K_M.gguf"


@pytest.fixture
def hub(site: Site, gguf: bytes) -> Site:
    add_repository(
        site,
        REPO,
        {
            "README.md": b"---\nlicense: mit\n---\n",
            "Tiny-Q8_0.gguf": gguf + b"8",
            "mmproj-Tiny-F16.gguf": gguf + b"p",
            "Tiny-Q4_K_M.gguf": gguf,
        },
    )
    return site


def pulled(cli: OssCli, ref: str, **env: str) -> Path:
    return Path(cli.run("model", "pull", ref, "--json", env=env).ok().json()[0]["path"])


def test_the_usual_quantisation_lands_in_the_hubs_own_cache(
    cli: OssCli, hub: Site, gguf: bytes
) -> None:
    path = pulled(cli, f"hf:{REPO}")
    folder = cli.home.path / "huggingface/hub/models--owner--Tiny-GGUF"
    assert path == folder / f"snapshots/{COMMIT}/Tiny-Q4_K_M.gguf"
    assert path.read_bytes() == gguf
    assert (folder / "refs/main").read_text() == COMMIT
    assert [f.name for f in (folder / "blobs").iterdir()] == [path.resolve().name]
    assert not (cli.home.data / "models/pypi").exists()
    hub.seen.clear()
    assert pulled(cli, f"hf:{REPO}") == path
    assert hub.seen == []


def test_the_library_finds_what_was_fetched(cli: OssCli, hub: Site) -> None:
    path = pulled(cli, f"hf:{REPO}")
    code = (
        "from huggingface_hub import hf_hub_download as d;"
        f"print(d({REPO!r}, 'Tiny-Q4_K_M.gguf', local_files_only=True))"
    )
    env = {**cli.environment(), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert found.stdout.strip() == str(path), found.stderr


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("Q8_0", "Tiny-Q8_0"), ("q8_0", "Tiny-Q8_0"), ("Tiny-Q8_0.gguf", "Tiny-Q8_0")],
)
@pytest.mark.usefixtures("hub")
def test_a_quantisation_or_a_file_may_be_named(cli: OssCli, wanted: str, name: str) -> None:
    assert pulled(cli, f"hf:{REPO}:{wanted}").stem == name
    cli.run("model", "path", f"hf:{REPO}:Q4_K_M").failed(4)


def test_resumed_after_a_cut(cli: OssCli, hub: Site, gguf: bytes) -> None:
    hub.cuts = [700_000, *[0] * 20]
    failed = cli.run("model", "pull", f"hf:{REPO}").failed(9)
    assert "run the same command again" in failed.stderr
    cli.run("model", "path", f"hf:{REPO}").failed(4)
    hub.cuts = []
    hub.seen.clear()
    assert pulled(cli, f"hf:{REPO}").read_bytes() == gguf
    assert hub.gets(FILE) == ["bytes=700000-"]


def test_ctrl_c_keeps_what_arrived(cli: OssCli, hub: Site, gguf: bytes) -> None:
    hub.hold.set()
    process = cli.start("model", "pull", f"hf:{REPO}")
    cache = cli.home.path / "huggingface"
    wait_for(lambda: any(f.stat().st_size for f in cache.rglob("*.incomplete")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    hub.hold.clear()
    hub.seen.clear()
    assert pulled(cli, f"hf:{REPO}").read_bytes() == gguf
    assert hub.gets(FILE)[0].startswith("bytes=")


def test_another_content_is_refused_and_not_kept(cli: OssCli, hub: Site, gguf: bytes) -> None:
    whole = hub.answers[FILE]
    hub.answers[FILE] = Answer(gguf[:-9] + b"different", headers=whole.headers)
    failed = cli.run("model", "pull", f"hf:{REPO}").failed(4)
    assert "checksum of Tiny-Q4_K_M.gguf" in failed.stderr
    assert not list((cli.home.path / "huggingface").rglob("*incomplete"))
    hub.answers[FILE] = whole
    pulled(cli, f"hf:{REPO}")


def test_all_parts_of_a_split_file(cli: OssCli, site: Site, gguf: bytes) -> None:
    parts = {f"Q4/m-Q4_K_M-0000{i}-of-00002.gguf": gguf + bytes([i]) for i in (1, 2)}
    add_repository(site, REPO, parts)
    path = pulled(cli, f"hf:{REPO}:Q4_K_M")
    assert path.name == "m-Q4_K_M-00001-of-00002.gguf"
    assert sorted(f.name for f in path.parent.iterdir()) == [n.removeprefix("Q4/") for n in parts]
    (row,) = cli.run("model", "list", "--here", "--json").ok().json()
    assert row["size"] == 2 * (len(gguf) + 1)
    next(path.parent.glob("*00002-of*")).unlink()
    cli.run("model", "path", f"hf:{REPO}:Q4_K_M").failed(4)


def test_safetensors_where_there_is_no_gguf(cli: OssCli, site: Site) -> None:
    header = json.dumps({"w": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}).encode()
    config = {"model_type": "llama", "max_position_embeddings": 64}
    add_repository(
        site,
        "owner/tiny",
        {
            "config.json": json.dumps(config).encode(),
            "model.safetensors": len(header).to_bytes(8, "little") + header + bytes(8),
            "pytorch_model.bin": b"a pickle",
            "modeling.py": b"code",
            "tokenizer.json": b"{}",
        },
    )
    path = pulled(cli, "hf:owner/tiny")
    assert sorted(f.name for f in path.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    shown = cli.run("model", "show", "hf:owner/tiny", "--json").ok().json()
    assert (shown["format"], shown["parameters"], shown["context_length"]) == ("hf", 4, 64)
    cli.run("model", "rm", "hf:owner/tiny", "--yes").ok()
    assert not (cli.home.path / "huggingface/hub/models--owner--tiny").exists()


def test_rm_leaves_the_other_files_of_the_repository(cli: OssCli, hub: Site) -> None:
    four, eight = pulled(cli, f"hf:{REPO}:Q4_K_M"), pulled(cli, f"hf:{REPO}:Q8_0")
    blob = four.resolve()
    cli.run("model", "rm", f"hf:{REPO}:Q4_K_M", "--yes").ok()
    assert not four.is_symlink()
    assert not blob.exists()
    assert eight.is_file()


def test_unknown_gated_private(cli: OssCli, hub: Site) -> None:
    failed = cli.run("model", "pull", f"hf:{REPO}:Q2_K").failed(4)
    assert "has no Q2_K" in failed.stderr
    assert "Tiny-Q4_K_M.gguf" in failed.stderr
    hub.answers["/api/models/owner/no/revision/main"] = Answer(
        b"{}", status=404, headers={"X-Error-Code": "RepoNotFound"}
    )
    assert "has no model 'owner/no'" in cli.run("model", "pull", "hf:owner/no").failed(4).stderr
    hub.answers["/api/models/owner/shut/revision/main"] = Answer(
        b"{}", status=403, headers={"X-Error-Code": "GatedRepo"}
    )
    failed = cli.run("model", "pull", "hf:owner/shut").failed(4)
    assert "accept" in failed.stderr
    assert "HF_TOKEN" in failed.stderr


def test_the_token_goes_to_the_hub_and_not_where_it_redirects(
    cli: OssCli, hub: Site, gguf: bytes
) -> None:
    with serve(Site()) as other:
        other.answers["/blob"] = Answer(gguf)
        to = {**hub.answers[FILE].headers, "Location": f"{other.url}/blob"}
        hub.answers[FILE] = Answer(b"", status=302, headers=to)
        pulled(cli, f"hf:{REPO}", HF_TOKEN="hf_secret")
        assert any("hf_secret" in h.get("authorization", "") for _, _, h in hub.seen)
        assert [p for _, p, _ in other.seen] == ["/blob"]
        assert not any("authorization" in h for _, _, h in other.seen)


def test_offline(cli: OssCli, hub: Site) -> None:
    failed = cli.run("model", "pull", f"hf:{REPO}", env={"HF_HUB_OFFLINE": "1"}).failed(9)
    assert "HF_HUB_OFFLINE" in failed.stderr
    pulled(cli, f"hf:{REPO}")
    hub.seen.clear()
    pulled(cli, f"hf:{REPO}", HF_HUB_OFFLINE="1")
    assert hub.seen == []


def test_no_network(cli: OssCli) -> None:
    env = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    failed = cli.run("model", "pull", f"hf:{REPO}", env=env).failed(9)
    assert "could not be reached" in failed.stderr


def test_without_the_library_the_hint_says_what_to_install(cli: OssCli) -> None:
    cli.home.write("site-packages/huggingface_hub/__init__.py", "raise ImportError('none')\n")
    env = {"PYTHONPATH": str(cli.home.path / "site-packages")}
    failed = cli.run("model", "pull", f"hf:{REPO}", env=env).failed(3)
    assert "oss-workbench[starter]" in failed.stderr


def test_a_disk_without_room_is_seen_before_the_first_byte(
    cli: OssCli, hub: Site, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs '{small}' 2>/dev/null") != 0:
        pytest.skip("may not mount a small disk")
    try:
        env = {"HF_HOME": str(small)}
        failed = cli.run("model", "pull", f"hf:{REPO}", env=env).failed(10)
        assert "of disk, 1.0 MB are free" in failed.stderr
        assert hub.gets(FILE) == []
    finally:
        os.system(f"umount '{small}'")


def test_what_only_the_library_can_reach_it_fetches_itself(
    cli: OssCli, hub: Site, gguf: bytes
) -> None:
    hub.refused = "oss-workbench"
    assert pulled(cli, f"hf:{REPO}").read_bytes() == gguf


def test_every_hub_error_is_one_line(cli: OssCli, hub: Site) -> None:
    for status, code in ((401, 4), (429, 9), (500, 9), (503, 9)):
        hub.answers[f"/api/models/{REPO}/revision/main"] = Answer(b"{}", status=status)
        failed = cli.run("model", "pull", f"hf:{REPO}").failed(code)
        assert failed.stderr.splitlines()[-2].startswith("error: ")
        assert "Traceback" not in failed.stderr
