"""``hf:``: models of the Hugging Face hub, in the hub's own cache, used in place."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError
from oss.contracts.model import LocalModel, ModelSource
from oss.files import storage_errors
from oss.models.files import folder_size, pick_gguf
from oss.models.transfer import pull_lock
from oss_plugins.sources import hub_cache
from oss_plugins.sources.hub_cache import SAFETENSORS, HubRef, parse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from oss.contracts.model import Progress


class HubSource(ModelSource):
    """The hub. A GGUF file where the repository has one, else its safetensors."""

    scheme = "hf"

    def find(self, rest: str) -> LocalModel | None:
        """Read the cache; neither network nor library."""
        ref = parse(rest)
        if ref.wanted != SAFETENSORS and (parts := hub_cache.find_gguf(ref)):
            size = sum(part.stat().st_size for part in parts)
            return LocalModel(f"hf:{rest}", f"hf:{rest}", "gguf", parts[0], size)
        if ref.wanted in ("", SAFETENSORS) and (folder := hub_cache.find_weights(ref)):
            return LocalModel(f"hf:{rest}", f"hf:{rest}", "hf", folder, folder_size(folder))
        return None

    def pull(self, rest: str, progress: Progress, *, sha256: str | None = None) -> LocalModel:
        """Fetch the files that ``rest`` means into the hub's cache."""
        if found := self.find(rest):
            return found
        from oss_plugins.sources import hub

        ref = parse(rest)
        with pull_lock(f"hf-{ref.repo}", f"hf:{ref.repo}"), storage_errors(hub_cache.cache_root()):
            repository = hub.look_up(ref, progress)
            hub.fetch_files(repository, _choose(ref, repository.names), progress, sha256)
        if found := self.find(rest):
            return found
        raise ModelError(f"hf:{rest} was fetched, but is not whole in {hub_cache.cache_root()}")

    def list(self) -> Iterable[LocalModel]:
        """Every GGUF model and every whole set of safetensors in the cache."""
        for repo in hub_cache.repos():
            seen: set[str] = set()
            for snapshot in hub_cache.snapshots(repo):
                names = hub_cache.files_in(snapshot)
                for name in names:
                    picked = pick_gguf(names, PurePosixPath(name).name) if _is_gguf(name) else ()
                    if not picked or picked[0] in seen:
                        continue
                    seen.add(picked[0])
                    if model := self.find(f"{repo}:{picked[0]}"):
                        yield model
            if model := self.find(f"{repo}:{SAFETENSORS}"):
                yield model

    def remove(self, rest: str) -> int:
        """Delete the files and the blobs that nothing else in the cache points to."""
        found = self.find(rest)
        if found is None or found.path is None:
            raise ModelError(f"model 'hf:{rest}' is not here", hint="oss model list")
        ref = parse(rest)
        with pull_lock(f"hf-{ref.repo}", f"hf:{ref.repo}"), storage_errors(found.path):
            if found.format == "gguf":
                files: Iterable[Path] = hub_cache.find_gguf(ref)
            else:
                files = [f for f in found.path.rglob("*") if f.is_file()]
            return hub_cache.delete_files(ref.repo, files)


def _choose(ref: HubRef, names: Iterable[str]) -> tuple[str, ...]:
    """The files to fetch.

    :raises ModelError: the repository has nothing of that kind.
    """
    names = tuple(names)
    if ref.wanted != SAFETENSORS and (picked := pick_gguf(names, ref.wanted)):
        return picked
    if ref.wanted in ("", SAFETENSORS) and "config.json" in names:
        weights = [n for n in names if "/" not in n and n.endswith(".safetensors")]
        if weights:
            return (*(n for n in names if "/" not in n and _goes_along(n)), *weights)
    there = [PurePosixPath(n).name for n in names if _is_gguf(n)]
    raise ModelError(
        f"hf:{ref.repo} has no {ref.wanted or 'GGUF file or safetensors'}",
        hint=f"it has: {', '.join(there[:8])}"
        if there
        else f"see https://huggingface.co/{ref.repo}",
    )


def _is_gguf(name: str) -> bool:
    return name.lower().endswith(".gguf")


def _goes_along(name: str) -> bool:
    """Configuration and tokenizer: text only, never pickled weights or code."""
    return name.endswith((".json", ".jinja", ".txt", "tokenizer.model")) or name == "LICENSE"
