"""The search for a student: its space, costs, trials, time and outcome."""
