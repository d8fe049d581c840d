"""Makes the missing form of a model: GGUF to Hugging Face weights."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from oss.contracts.errors import ConfigError, ModelError, StorageError
from oss.models.digest import weights_hash
from oss.models.facts import inspect_model
from oss.models.forms import form_path, save_record, with_forms

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oss.contracts.model import Format, LocalModel
    from oss.plugins.manager import Plugins

DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a weight."""


def convert_model(
    model: LocalModel,
    wanted: Format,
    plugins: Plugins,
    *,
    say: Callable[[str], None],
    dtype: str = "float32",
) -> LocalModel:
    """The model with the wanted form, made if it is missing; whole, or not there at all.

    :param dtype: of the weights that are written.
    :param say: told what is done, in a few words.
    :raises ModelError: there is no way from the form at hand to the wanted one, or what came
        out does not answer as the source does.
    :raises ConfigError: transformers or torch is not installed.
    :raises StorageError: not enough room.
    """
    model = with_forms(model)
    if model.form(wanted) is not None:
        return model
    source = model.path
    if wanted != "hf" or model.format != "gguf" or source is None:
        raise _no_way(model, wanted)
    target = form_path(model, wanted)
    target.parent.mkdir(parents=True, exist_ok=True)
    _check_room(source, target.parent, DTYPES[dtype])
    os.environ.setdefault("GOMP_SPINCOUNT", "0")  # idle threads must not spin; read at import
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        from oss.models.convert_hf import gguf_to_hf
    except ImportError as error:
        raise ConfigError(
            f"converting needs '{error.name}', which is not installed",
            hint="pip install 'oss-workbench[transformers]'",
        ) from error
    from filelock import FileLock

    with FileLock(target.with_name("lock")):
        model = with_forms(model)  # another process may just have made it
        if model.form(wanted) is not None:
            return model
        aside = target.with_name(f"{target.name}.partial")
        for leftover in (aside, target):
            shutil.rmtree(leftover, ignore_errors=True)
        aside.mkdir()
        try:
            gguf_to_hf(source, aside, dtype=dtype, plugins=plugins, say=say)
            say("hashing the source")
            save_record(model, target, weights_hash(model))
            aside.replace(target)
        except OSError as error:
            raise StorageError(f"cannot write {target}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return with_forms(model)


def _no_way(model: LocalModel, wanted: Format) -> ModelError:
    if wanted == "gguf" and model.format == "hf":
        return ModelError(
            f"'{model.name}' cannot be made into GGUF here: no well-kept converter is on the "
            "package index",
            hint="use the one in llama.cpp's sources: "
            f"python convert_hf_to_gguf.py {model.path} --outfile model.gguf",
        )
    return ModelError(f"'{model.name}' ({model.format}) cannot be made into {wanted}")


def _check_room(source: Path, folder: Path, bytes_per_weight: int) -> None:
    facts = inspect_model(source)
    needed = int(facts.parameters * bytes_per_weight * 1.02)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{needed / 1e9:.1f} GB are needed in {folder}, and {free / 1e9:.1f} GB are free",
            hint="make room, set OSS_HOME to a larger disk, or use --dtype bfloat16",
        )
