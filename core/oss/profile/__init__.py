"""Profiles: TOML in, one resolved and explained profile out."""

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
