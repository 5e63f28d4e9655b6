"""Latency, memory, operators and accuracy, measured in child processes."""
