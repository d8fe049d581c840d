"""For tests of oss and of plugins: fakes, an isolated home, conformance suites."""
