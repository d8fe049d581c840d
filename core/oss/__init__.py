"""oss: run, specialise and measure open-weight models from one TOML profile."""

__version__ = "0.1.0"

__all__ = ["__version__"]
