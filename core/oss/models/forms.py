"""Further forms of a model that oss made itself, kept beside what was fetched.

``<data>/models/forms/<name>-<digest of the reference>/<format>/`` holds a form, and
``<format>.json`` next to it says from which weights it was made. A form whose source has changed
since counts as absent.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import TYPE_CHECKING, get_args

from oss.contracts.model import Format
from oss.files import write_text
from oss.models import cached
from oss.paths import data_dir

if TYPE_CHECKING:
    from pathlib import Path

    from oss.contracts.model import LocalModel


@dataclasses.dataclass(frozen=True)
class FormRecord:
    """Where a form came from.

    :param source_sha256: :func:`oss.models.digest.weights_hash` of the source.
    """

    ref: str
    source: str
    source_size: int
    source_mtime_ns: int
    source_sha256: str


def form_path(model: LocalModel, wanted: Format) -> Path:
    """Where a form of a model lies, or would."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", model.name).strip(".-")[:40] or "model"
    digest = hashlib.sha256(model.ref.encode()).hexdigest()[:12]
    return data_dir() / "models" / "forms" / f"{slug}-{digest}" / wanted


def save_record(model: LocalModel, made: Path, source_sha256: str) -> None:
    """Say from what a form was made; without this it is not found.

    :raises StorageError: it cannot be written.
    """
    source = model.path
    if source is None:
        raise ValueError("a remote model has no forms")
    stamp = cached.stamp(source)
    record = FormRecord(model.ref, stamp.path, stamp.size, stamp.mtime_ns, source_sha256)
    write_text(made.with_suffix(".json"), json.dumps(dataclasses.asdict(record), indent=2) + "\n")


def read_record(made: Path) -> FormRecord | None:
    """What :func:`save_record` wrote for a form, or ``None``."""
    try:
        return FormRecord(**json.loads(made.with_suffix(".json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def made_forms(model: LocalModel) -> dict[Format, Path]:
    """The forms of a model that oss made and that its weights still agree with."""
    if model.path is None:
        return {}
    stamp = cached.stamp(model.path)
    found: dict[Format, Path] = {}
    for wanted in get_args(Format):
        made = form_path(model, wanted)
        if wanted == model.format or not made.exists():
            continue
        record = read_record(made)
        if record and (record.source_size, record.source_mtime_ns) == (stamp.size, stamp.mtime_ns):
            found[wanted] = made
    return found


def with_forms(model: LocalModel) -> LocalModel:
    """The same model, with the forms that oss made of it."""
    made = made_forms(model)
    return dataclasses.replace(model, forms={**made, **model.forms}) if made else model
