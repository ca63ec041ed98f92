"""Servers, clients and rows that tests and benchmarks share. Knows neither of them."""
