"""Asks the Hugging Face hub and fetches from it, through its own library.

Newer versions of the library keep no partial file (huggingface_hub pull request 4228), so large
files are fetched here, resumable and checked against the hub's sha256, and handed to the library
as a blob of its cache; it makes the rest of the cache's entry. What cannot be fetched this way
(files above 50 GB, a server that only the library can reach) the library fetches itself.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oss.contracts.errors import ConfigError, ModelError, NetworkError, OssError
from oss.files import RESUME_HINT
from oss.models.digest import read_sha256, wrong_digest
from oss.models.transfer import NotServedError, check_room, fetch, publish
from oss_plugins.sources.hub_cache import HubRef, repo_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oss.contracts.model import Progress

_LARGEST_BY_HTTP = 50 * 1000**3  # the hub's own limit
_HTTP_LIBRARIES = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"}


@dataclass(frozen=True)
class HubFile:
    """A file of a repository; ``sha256`` is ``None`` for small ones that git keeps itself."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Repository:
    """A repository at one commit."""

    ref: HubRef
    commit: str
    files: dict[str, HubFile]

    @property
    def names(self) -> Sequence[str]:
        """Paths of its files."""
        return tuple(self.files)


def look_up(ref: HubRef, progress: Progress) -> Repository:
    """What the repository holds.

    :raises ModelError: no such repository or revision, or it is gated.
    :raises NetworkError: the hub cannot be reached, or ``HF_HUB_OFFLINE`` is set.
    """
    progress(0, 0, f"asking the hub for {ref.repo}")
    with _errors(ref):
        from huggingface_hub import HfApi

        info = HfApi().model_info(ref.repo, revision=ref.revision, files_metadata=True)
    files = {
        s.rfilename: HubFile(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else None)
        for s in info.siblings or ()
    }
    return Repository(ref, info.sha or ref.revision, files)


def fetch_files(
    repository: Repository, names: Sequence[str], progress: Progress, sha256: str | None
) -> None:
    """Fetch files into the hub's cache; those that are there are left.

    :param sha256: the digest that the first file must have.
    :raises ModelError: a digest differs.
    :raises NetworkError: cut, or unreachable; what arrived is kept.
    :raises StorageError: no room.
    """
    files = [repository.files[name] for name in names]
    if sha256 and files[0].sha256 != sha256:
        raise wrong_digest(
            f"{names[0]} in hf:{repository.ref.repo}", sha256, files[0].sha256 or "none"
        )
    blobs = repo_folder(repository.ref.repo) / "blobs"
    need = sum(f.size for f in files if not (f.sha256 and (blobs / f.sha256).exists()))
    there = sum(p.stat().st_size for f in files if (p := blobs / _partial(f)).exists())
    check_room(blobs, max(need - there, 0), f"hf:{repository.ref.repo}")
    for file in files:
        with contextlib.suppress(NotServedError):
            _fetch_blob(repository, file, progress)
        _enter(repository, file, progress)


def _partial(file: HubFile) -> str:
    return f"{file.sha256}.oss.incomplete"


def _fetch_blob(repository: Repository, file: HubFile, progress: Progress) -> None:
    """Put the file's bytes where the library expects them, if this can be done by HTTP."""
    blob = repo_folder(repository.ref.repo) / "blobs" / (file.sha256 or "")
    if not file.sha256 or file.size > _LARGEST_BY_HTTP or blob.exists():
        return
    from huggingface_hub import get_token, hf_hub_url

    blob.parent.mkdir(parents=True, exist_ok=True)
    partial = blob.with_name(_partial(file))
    url = hf_hub_url(repository.ref.repo, file.name, revision=repository.commit)
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    fetch(url, partial, progress, file.name, headers=headers)
    found = read_sha256(partial, lambda n: progress(n, file.size, f"checking {file.name}"))
    if found != file.sha256:
        partial.unlink()
        raise wrong_digest(f"{file.name} in hf:{repository.ref.repo}", file.sha256, found)
    publish(partial, blob)


def _enter(repository: Repository, file: HubFile, progress: Progress) -> None:
    """Let the library make (or fetch and make) the file's entry in its cache."""
    from huggingface_hub import hf_hub_download

    with _errors(repository.ref):
        hf_hub_download(
            repository.ref.repo,
            file.name,
            revision=repository.ref.revision,
            library_name="oss-workbench",
            tqdm_class=_bar(progress, file.name),
        )


def _bar(progress: Progress, label: str) -> Any:
    """A tqdm class, as the library wants one, that tells ``progress`` and prints nothing."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg,unused-ignore]
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)  # the library's own addition
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]
            self.total = options.get("total") or 0
            self.n = options.get("initial") or 0

        def update(self, n: float | None = 1) -> bool | None:
            self.n += int(n or 0)
            progress(int(self.n), int(self.total or 0), label)
            return None

    return Bar


@contextlib.contextmanager
def _errors(ref: HubRef) -> Iterator[None]:
    """Turn the library's errors into ours."""
    try:
        from huggingface_hub import errors
    except ImportError as error:
        raise ConfigError(
            "models of the hub need 'huggingface_hub', which is not installed",
            hint="pip install 'oss-workbench[starter]'",
        ) from error
    page = f"https://huggingface.co/{ref.repo}"
    try:
        yield
    except OssError:
        raise
    except errors.GatedRepoError as error:
        raise ModelError(
            f"hf:{ref.repo} is open only to those who accepted its terms",
            hint=f"accept them at {page}, then set HF_TOKEN or run: hf auth login",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub has no model '{ref.repo}', or it is private",
            hint="check owner and name; for a private one set HF_TOKEN or run: hf auth login",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"hf:{ref.repo} has no revision '{ref.revision}'", hint=page) from error
    except errors.OfflineModeIsEnabled as error:
        raise NetworkError(
            f"hf:{ref.repo} is not here, and HF_HUB_OFFLINE forbids to fetch it",
            hint="unset HF_HUB_OFFLINE",
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise _unreachable(ref, error) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status == 401:
            raise ModelError(
                "the hub does not accept your token", hint="set another HF_TOKEN, or unset it"
            ) from error
        if status == 404:
            raise ModelError(f"hf:{ref.repo}: the hub has no such file", hint=page) from error
        raise NetworkError(
            f"the hub answered HTTP {status} for {ref.repo}", hint="try again later"
        ) from error
    except errors.HFValidationError as error:
        raise ModelError(f"'hf:{ref.repo}' is not a name the hub can have") from error
    except Exception as error:
        # The library lets its HTTP library's errors through, and has changed that library twice.
        if type(error).__module__.partition(".")[0] in _HTTP_LIBRARIES:
            raise _unreachable(ref, error) from error
        raise


def _unreachable(ref: HubRef, error: Exception) -> NetworkError:
    return NetworkError(
        f"the hub could not be reached for {ref.repo}: {type(error).__name__}",
        hint=f"check the connection; {RESUME_HINT}",
    )
