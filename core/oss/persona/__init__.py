"""Personas: found, rendered, turned into messages."""

from oss.persona.find import FoundPersona, find_persona, list_personas
from oss.persona.render import merge_sampling, persona_messages, render_system

__all__ = [
    "FoundPersona",
    "find_persona",
    "list_personas",
    "merge_sampling",
    "persona_messages",
    "render_system",
]
