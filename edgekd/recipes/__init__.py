"""One module per subcommand: `run(config, report) -> Result`. This is the Python API too."""
