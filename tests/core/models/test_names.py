"""The names that ``oss.models`` hands on."""

from __future__ import annotations

import pytest

import oss.models


def test_every_name_is_found_and_nothing_else() -> None:
    for name in oss.models.__all__:
        assert getattr(oss.models, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = oss.models.nothing_such
