"""The pages on profiles and personas: every key, every block, the schema."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from oss.plugins.manager import load_plugins
from oss.profile.find import FoundProfile
from oss.profile.validate import check_profile
from support.markdown import ROOT, Block, blocks

if TYPE_CHECKING:
    from oss.testing.program import OssHome

PERSONAS = [block for block in blocks("toml", "markdown") if "persona" in block.flags]
PROFILES = [
    block
    for block in blocks("toml")
    if not block.flags and block.page.name in ("profiles.md", "getting-started.md")
]


def test_generated_parts_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate_profiles.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_there_are_examples() -> None:
    assert len(PROFILES) >= 2
    assert len(PERSONAS) >= 2


@pytest.mark.parametrize("block", PROFILES, ids=str)
def test_every_profile_in_the_docs_is_without_fault(oss_home: OssHome, block: Block) -> None:
    path = oss_home.write("config/profiles/example.toml", "")
    path.write_text(block.body, encoding="utf-8")
    assert check_profile(FoundProfile("example", path, "user"), load_plugins()) == []


@pytest.mark.parametrize("block", PERSONAS, ids=str)
def test_every_persona_in_the_docs_loads(oss_home: OssHome, block: Block) -> None:
    from oss.persona import find_persona, persona_messages

    suffix = "md" if block.language == "markdown" else "toml"
    path = oss_home.write(f"config/personas/example.{suffix}", "")
    path.write_text(block.body, encoding="utf-8")
    persona = find_persona("example", load_plugins())
    assert persona.summary
    assert persona_messages(persona, {})[0].content


def test_every_shipped_profile_and_persona_is_named() -> None:
    from oss.profile.find import shipped_dir

    for kind in ("profiles", "personas"):
        page = (ROOT / "docs" / f"{kind}.md").read_text(encoding="utf-8")
        for path in shipped_dir(kind).iterdir():
            if path.suffix in (".toml", ".md"):
                assert f"| `{path.stem}` |" in page
