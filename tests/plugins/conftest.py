"""What tests of several plugins share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def captain_home() -> Path:
    """A home in which the captain's adapter was trained; not to be changed."""
    from support.captain import captain_home

    return captain_home()
