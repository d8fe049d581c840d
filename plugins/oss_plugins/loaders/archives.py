"""Formats that are ZIP archives of XML, opened without trusting them."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as Tree

from oss.contracts.errors import UsageError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LARGEST = 200 * 2**20
"""Bytes that an archive may expand to, all that is read of it together."""
MOST_MEMBERS = 20_000


class Archive:
    """A ZIP archive whose expansion is counted as it happens, not as its header says."""

    def __init__(self, data: bytes, kind: str) -> None:
        self.kind = kind
        self._left = LARGEST
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise UsageError(f"is no {kind} that can be read: {error}") from error
        if len(self._zip.namelist()) > MOST_MEMBERS:
            raise UsageError(f"holds more than {MOST_MEMBERS} files: a bomb, or no {kind}")

    def read(self, name: str) -> bytes:
        """A member.

        :raises UsageError: it is damaged, encrypted, or too large when expanded.
        :raises KeyError: there is none of this name.
        """
        try:
            with self._zip.open(name) as member:
                data = member.read(self._left + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise UsageError(f"is a damaged {self.kind}: {error}") from error
        except RuntimeError as error:  # what zipfile raises for encrypted members
            raise UsageError("is protected by a password") from error
        self._left -= len(data)
        if self._left < 0:
            raise UsageError(f"expands to more than {LARGEST >> 20} MB: a bomb, or too large")
        return data

    def xml(self, name: str) -> Element:
        """A member that must be there, parsed.

        :raises UsageError: it is missing, damaged, or declares entities.
        """
        try:
            return parse(self.read(name), self.kind)
        except KeyError as error:
            raise UsageError(f"is no {self.kind}: it has no {name}") from error

    def xml_or_none(self, name: str) -> Element | None:
        """A member that may be missing, parsed."""
        try:
            return parse(self.read(name), self.kind)
        except KeyError:
            return None


def parse(data: bytes, kind: str) -> Element:
    """XML without entities of its own.

    :raises UsageError: it is damaged, or declares entities.
    """
    try:
        root: Any = Tree.fromstring(data, forbid_dtd=False)
    except DefusedXmlException as error:
        raise UsageError(f"is refused: its XML declares entities ({error})") from error
    except (Tree.ParseError, ValueError, RecursionError) as error:
        raise UsageError(f"is a damaged {kind}: {error}") from error
    found: Element = root
    return found
