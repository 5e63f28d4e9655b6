"""Verdicts: budgets, baselines, comparisons."""
