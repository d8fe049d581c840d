"""Profiles: TOML in, one resolved and explained profile out."""
