"""Test suites that every implementation of a contract passes: subclass and give a fixture."""
