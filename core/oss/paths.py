"""Where oss keeps its files: one place to change, one variable (``OSS_HOME``) to move it all."""

from __future__ import annotations

import os
from pathlib import Path


def _under_home(kind: str) -> Path:
    home = os.environ.get("OSS_HOME")
    if home:
        return Path(home).expanduser() / kind
    import platformdirs  # 10 ms that `OSS_HOME` users and `--help` do not pay

    return Path(getattr(platformdirs, f"user_{kind}_dir")("oss", appauthor=False))


def config_dir() -> Path:
    """Profiles, personas, settings and the plugin manifest of this user."""
    return _under_home("config")


def data_dir() -> Path:
    """Models fetched by oss, the conversation store, adapters, collections."""
    return _under_home("data")


def models_dir() -> Path:
    """Models that have no store of their own, embedders too."""
    return data_dir() / "models"


def cache_dir() -> Path:
    """What can be made again."""
    return _under_home("cache")


def project_dirs() -> list[Path]:
    """The ``.oss`` folders from the working directory upwards, nearest first."""
    here = Path.cwd()
    return [d for p in (here, *here.parents) if (d := p / ".oss").is_dir()]
