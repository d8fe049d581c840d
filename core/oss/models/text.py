"""Sizes as people read them."""

from __future__ import annotations


def size_text(count: int) -> str:
    """``62 GB``, ``1.8 GB``, ``98 MB``: thousands, as disks and downloads are labelled."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def count_text(count: int) -> str:
    """``135M``, ``20.9B``: how models are named after their parameters."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if count >= size * 0.9995:
            value = count / size
            return f"{value:.1f}{unit}" if value < 99.95 and unit in "TB" else f"{value:.0f}{unit}"
    return str(count)
