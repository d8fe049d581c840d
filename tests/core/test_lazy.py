"""Packages that import their names late."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

PACKAGES = ("oss.models", "oss.profile")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_there(package: str) -> None:
    module = import_module(package)
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name).__name__ == name
        assert vars(module)[name] is getattr(module, name)  # asked once


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        import_module(package).nothing  # noqa: B018
    with pytest.raises(ImportError):
        exec(f"from {package} import nothing")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_alone_imports_none_of_its_modules(package: str) -> None:
    script = (
        f"import {package}, sys; print(*(n for n in sys.modules if n.startswith('{package}.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
