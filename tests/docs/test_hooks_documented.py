"""docs/plugins.md has every hook with its arguments, and code that exists."""

from __future__ import annotations

import inspect
import re
from typing import get_args

import pytest

from oss import hookspecs
from oss.plugins.offers import Kind
from support.markdown import ROOT, Block, blocks

PAGE = ROOT / "docs" / "plugins.md"
EXCERPTS = [
    block
    for block in blocks("python", "toml")
    if block.page == PAGE or any(flag.startswith("from:") for flag in block.flags)
]


def specified() -> dict[str, list[str]]:
    return {
        name: list(inspect.signature(value).parameters)
        for name, value in vars(hookspecs).items()
        if hasattr(value, "oss_spec")
    }


def test_headings_are_the_hooks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    documented = {
        name: [argument for argument in arguments.split(", ") if argument]
        for name, arguments in re.findall(r"^### `(oss_\w+)\((.*)\)`$", text, re.M)
    }
    assert documented == specified()


def test_every_kind_has_its_hook() -> None:
    assert {f"oss_{kind}" for kind in get_args(Kind)} < set(specified())


def test_there_are_excerpts() -> None:
    assert len(EXCERPTS) > 3


@pytest.mark.parametrize("block", EXCERPTS, ids=str)
def test_code_is_an_excerpt_of_a_tested_file(block: Block) -> None:
    (source,) = (flag.removeprefix("from:") for flag in block.flags if flag.startswith("from:"))
    assert block.body in (ROOT / source).read_text(encoding="utf-8")
