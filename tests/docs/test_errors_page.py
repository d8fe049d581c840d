"""The table of exit codes is the classes' own."""

from __future__ import annotations

import re

from oss.contracts import errors
from support.markdown import ROOT


def test_every_error_is_documented_with_its_code() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    shown = {}
    for code, names in re.findall(r"^\| (\d+) \|[^|]*\|(.*)\|$", page, re.M):
        shown.update(dict.fromkeys(re.findall(r"`(\w+)`", names), int(code)))
    classes = {
        name: value.exit_code
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.OssError)
    }
    assert shown == classes
