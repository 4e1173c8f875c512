"""What the user set: flags, pyproject.toml, the marker of a test, margins."""
