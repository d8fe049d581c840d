"""The profiles and personas that ship."""
