"""``ollama:``: models that Ollama has fetched; its blobs are used in place, never changed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ModelError
from oss.contracts.model import LocalModel, ModelSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oss.contracts.model import Progress

_WEIGHTS = "application/vnd.ollama.image.model"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Linux installs run Ollama as a user of its own, whose home this is.
_SYSTEM = Path("/usr/share/ollama/.ollama/models")


def roots() -> list[Path]:
    """Ollama's model folders: the one that ``OLLAMA_MODELS`` names, else the usual ones."""
    if named := os.environ.get("OLLAMA_MODELS"):
        return [Path(named).expanduser()]
    return [Path.home() / ".ollama" / "models", _SYSTEM]


class OllamaSource(ModelSource):
    """``ollama:name[:tag]`` and ``ollama:owner/name[:tag]``, as ``ollama list`` prints them."""

    scheme = "ollama"

    def find(self, rest: str) -> LocalModel | None:
        """Read the manifest, look for its blob."""
        name, _, tag = rest.partition(":") if ":" in rest else (rest, ":", "latest")
        parts = name.split("/")
        if ".." in parts or "" in parts or "/" in tag or not tag:
            raise ModelError(f"'ollama:{rest}' is not a name of Ollama's", hint="ollama list")
        if len(parts) == 1:
            parts = ["library", *parts]
        if len(parts) == 2:
            parts = ["registry.ollama.ai", *parts]
        for root in roots():
            manifest = root.joinpath("manifests", *parts, tag)
            try:
                if manifest.is_file():
                    return _model(root, manifest, f"ollama:{rest}")
            except PermissionError:  # the service's folder, closed to this user
                continue
        return None

    def pull(
        self,
        rest: str,
        progress: Progress,  # noqa: ARG002  nothing to fetch
        *,
        sha256: str | None = None,  # noqa: ARG002
    ) -> LocalModel:
        """The model if Ollama has it; fetching is Ollama's own affair."""
        if found := self.find(rest):
            return found
        raise ModelError(f"Ollama has no model '{rest}' here", hint=f"ollama pull {rest}")

    def list(self) -> Iterable[LocalModel]:
        """Every manifest with its weights."""
        for root in roots():
            folder = root / "manifests"
            try:
                manifests = sorted(f for f in folder.rglob("*") if f.is_file())
            except PermissionError:
                continue
            for manifest in manifests:
                *parts, tag = manifest.relative_to(folder).parts
                if len(parts) < 2:
                    continue
                short = parts[1:] if parts[0] == "registry.ollama.ai" else parts
                name = "/".join(short[1:] if short[0] == "library" else short)
                try:
                    yield _model(root, manifest, f"ollama:{name}:{tag}")
                except ModelError:
                    continue  # half fetched, or no GGUF


def _model(root: Path, manifest: Path, ref: str) -> LocalModel:
    try:
        layers: list[Any] = json.loads(manifest.read_bytes())["layers"]
        digest = next(layer["digest"] for layer in layers if layer["mediaType"] == _WEIGHTS)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"Ollama's manifest {manifest} is damaged", hint="ollama pull") from error
    except StopIteration as error:
        raise ModelError(f"'{ref}' has no GGUF weights in Ollama's store") from error
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ModelError(f"Ollama's manifest {manifest} is damaged", hint="ollama pull")
    blob = root / "blobs" / digest.replace(":", "-")
    if not blob.is_file():
        raise ModelError(f"'{ref}' is not whole: {blob.name} is missing", hint="ollama pull")
    return LocalModel(ref, ref, "gguf", blob, blob.stat().st_size)
