"""The command line: table and error policy (app), options (options), display (console)."""
