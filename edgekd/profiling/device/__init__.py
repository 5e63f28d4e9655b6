"""The board: device profiles, this machine, and what changes while it measures."""
