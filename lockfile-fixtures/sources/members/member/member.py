"""A workspace member: uv installs it editable."""
