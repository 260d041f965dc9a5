"""The application."""

VERSION = "1.0.0"
