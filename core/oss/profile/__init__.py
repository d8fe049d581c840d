"""Profiles: TOML in, one resolved and explained profile out.

Names are imported when they are first used: the schema alone needs no code that reads TOML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oss.lazy import importer

if TYPE_CHECKING:
    from oss.profile.find import FoundProfile, find_profile, list_profiles
    from oss.profile.resolve import Origin, ResolvedProfile, resolve_profile
    from oss.profile.schema import Profile

__all__ = [
    "FoundProfile",
    "Origin",
    "Profile",
    "ResolvedProfile",
    "find_profile",
    "list_profiles",
    "resolve_profile",
]

_MODULES = {
    "FoundProfile": "find",
    "find_profile": "find",
    "list_profiles": "find",
    "Origin": "resolve",
    "ResolvedProfile": "resolve",
    "resolve_profile": "resolve",
    "Profile": "schema",
}

__getattr__ = importer(__name__, _MODULES)
