"""Models: names, sources, headers, memory, what is here."""
