"""A few tools that need nothing installed."""
