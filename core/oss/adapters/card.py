"""The card of an adapter: what it was made from, how, and what came of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from oss.contracts.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

CARD = "oss-adapter.json"
PEFT_WEIGHTS = "adapter_model.safetensors"
GGUF = "adapter.gguf"


class BaseCard(msgspec.Struct, frozen=True, kw_only=True):
    """The model an adapter changes.

    :param hashes: sha256 of the weights by form (``hf``, ``gguf``): each form of one model has
        its own.
    """

    name: str
    ref: str = ""
    architecture: str = ""
    layers: int = 0
    width: int = 0
    vocabulary: int = 0
    hashes: dict[str, str] = {}


class DataCard(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned: files, counts, and the sha256 of the rows' content."""

    files: tuple[str, ...] = ()
    rows: int = 0
    held_out: int = 0
    digest: str = ""


class ResultCard(msgspec.Struct, frozen=True, kw_only=True):
    """How training went; losses are means over the tokens that count."""

    steps: int = 0
    loss: float | None = None
    held_out_before: float | None = None
    held_out_after: float | None = None
    seconds: float = 0.0
    tokens: int = 0
    change: float | None = None


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of an adapter.

    :param files: sha256 by file name.
    :param evaluation: figures of the held-out rows, and those that later measurements added.
    """

    name: str
    method: str
    base: BaseCard
    objective: str = ""
    created: str = ""
    recipe: dict[str, Any] = {}
    data: DataCard = DataCard()
    result: ResultCard = ResultCard()
    files: dict[str, str] = {}
    versions: dict[str, str] = {}
    evaluation: dict[str, float] = {}
    parent: str = ""


def read_card(folder: Path) -> Card:
    """The card in an adapter's folder.

    :raises ModelError: there is none, or it is damaged.
    """
    file = folder / CARD
    try:
        return msgspec.json.decode(file.read_bytes(), type=Card)
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} has no card ({CARD})", hint="`oss adapter import` makes one"
        ) from error
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error


def write_card(folder: Path, card: Card) -> Card:
    """Write the card with the hashes of the files beside it; the card as written."""
    files = {
        path.relative_to(folder).as_posix(): hash_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != CARD
    }
    complete = msgspec.structs.replace(card, files=files)
    part = folder / f".{CARD}.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(complete), indent=2) + b"\n")
    part.replace(folder / CARD)
    return complete


def hash_file(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def damage(folder: Path, card: Card) -> list[str]:
    """Files that are missing or not what the card says; empty when all is well."""
    wrong = []
    for name, digest in card.files.items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif hash_file(path) != digest:
            wrong.append(f"{name} was changed after it was made")
    return wrong
