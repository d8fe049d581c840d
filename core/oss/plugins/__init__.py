"""Finding, registering, installing and writing plugins."""
