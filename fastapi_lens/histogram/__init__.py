"""Latency histograms. Pure arithmetic."""
