"""``file:``: a GGUF file or a Hugging Face folder, used where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oss.contracts.errors import ModelError
from oss.contracts.model import LocalModel, ModelSource
from oss.models.files import folder_size, gguf_parts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oss.contracts.model import Progress


class FileSource(ModelSource):
    """The user's own files."""

    scheme = "file"

    def find(self, rest: str) -> LocalModel:
        """The model at the path.

        :raises ModelError: nothing is there, or it is neither form.
        """
        path = Path(rest).expanduser().absolute()
        try:
            if path.is_dir():
                return self._folder(path, rest)
            if not path.exists():
                raise ModelError(f"no model file at {rest}", hint="check the path")
        except OSError as error:
            raise ModelError(f"{rest} cannot be read: {error.strerror or error}") from error
        parts = gguf_parts(path)
        size = sum(part.stat().st_size for part in parts)
        return LocalModel(rest, f"file:{path}", "gguf", parts[0], size)

    def _folder(self, path: Path, rest: str) -> LocalModel:
        if (path / "config.json").is_file():
            return LocalModel(rest, f"file:{path}", "hf", path, folder_size(path))
        inside = sorted(f for f in path.glob("*.gguf") if not f.name.startswith("mmproj"))
        raise ModelError(
            f"{rest} is a folder without config.json, so not a model",
            hint=f"name a file in it: {inside[0]}" if inside else None,
        )

    def pull(
        self,
        rest: str,
        progress: Progress,  # noqa: ARG002  nothing to fetch
        *,
        sha256: str | None = None,
    ) -> LocalModel:
        """The file as it is."""
        from oss.models.digest import check_digest

        model = self.find(rest)
        if sha256 and model.path:
            check_digest(model.path, sha256)
        return model

    def list(self) -> Iterable[LocalModel]:
        """Nothing: files anywhere are not looked for."""
        return ()
