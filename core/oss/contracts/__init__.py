"""The contracts: what backends, tools, personas and the rest agree on.

Import from the submodules; nothing here imports anything heavy.
"""
