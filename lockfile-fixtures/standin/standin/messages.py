"""Writes what the application says, as a build step."""

import pathlib
import sys

import greeting_check

text = "hello from a build step\n"
assert greeting_check.is_greeting(text)
pathlib.Path(sys.argv[1]).write_text(text, encoding="utf-8")
