"""What each command can be told: frozen dataclasses, the one schema of flags, environment and TOML."""
