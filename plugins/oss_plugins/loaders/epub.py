"""E-books: the chapters in reading order."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from oss.contracts.errors import UsageError
from oss.contracts.loader import Loaded, Loader
from oss.retrieval.blocks import BlockList
from oss_plugins.loaders.archives import Archive
from oss_plugins.loaders.html import read_page

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_PAGES = ("application/xhtml+xml", "text/html")


class EpubLoader(Loader):
    """The text of an EPUB 2 or 3, without its table of contents."""

    def load(self, data: bytes, name: str) -> Loaded:  # noqa: ARG002
        """A book that is not protected."""
        archive = Archive(data, "EPUB")
        place = _first(archive.xml("META-INF/container.xml"), "rootfile")
        package_name = place.get("full-path", "") if place is not None else ""
        package = archive.xml(package_name)
        metadata = {}
        for field, tag in (("title", "title"), ("author", "creator")):
            found = _first(package, tag)
            if found is not None and found.text and found.text.strip():
                metadata[field] = found.text.strip()
        blocks = BlockList()
        for number, href in enumerate(_spine(package), 1):
            member = posixpath.normpath(
                posixpath.join(posixpath.dirname(package_name), unquote(href))
            )
            try:
                page = archive.read(member)
            except KeyError as error:
                raise UsageError(f"is a damaged EPUB: it has no {member}") from error
            read_page(page, blocks, chapter=number)
        return Loaded(blocks, metadata)


def _spine(package: Element) -> list[str]:
    items = {
        item.get("id"): item
        for item in package.iter()
        if _local(item) == "item"
        and item.get("media-type") in _PAGES
        and "nav" not in item.get("properties", "").split()
    }
    return [
        items[reference.get("idref")].get("href", "")
        for reference in package.iter()
        if _local(reference) == "itemref" and reference.get("idref") in items
    ]


def _first(root: Element, name: str) -> Element | None:
    return next((element for element in root.iter() if _local(element) == name), None)


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
