"""Personas: found, read, rendered."""
