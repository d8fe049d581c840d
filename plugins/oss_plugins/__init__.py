"""The built-in plugins, registered by the same entry points as anyone's."""
