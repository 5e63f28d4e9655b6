"""Measuring on another machine through ssh."""
