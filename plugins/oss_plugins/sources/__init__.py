"""Model sources: ``hf:``, ``pypi:``, ``file:``, ``ollama:``."""
