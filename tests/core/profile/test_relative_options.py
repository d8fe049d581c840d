"""Options that are paths are relative to the profile's file."""

from __future__ import annotations

from pathlib import Path

from oss.contracts.descriptors import Descriptor, Option
from oss.plugins.manager import Offer
from oss.profile.relative_paths import absolute_paths


class OnePart:
    """Stands for the plugins: one backend with one option that is a path."""

    def offers(self, kind: str) -> dict[str, Offer]:
        options = (Option("file", "path", None, "a file"), Option("word", "str", "", "a word"))
        offer = Offer(Descriptor("part", "a part", "nowhere:Part", options), "plugin", "dist")
        return {"part": offer} if kind == "backends" else {}


def test_paths_among_options() -> None:
    data = {"backend": {"name": "part", "part": {"file": "./a/../x", "word": "./x", "z": 1}}}
    found = absolute_paths(data, Path("/base"), OnePart())  # type: ignore[arg-type]
    assert found["backend"]["part"] == {"file": "/base/x", "word": "./x", "z": 1}
    assert data["backend"]["part"]["file"] == "./a/../x"  # type: ignore[index]
