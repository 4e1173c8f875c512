"""The public assertions, one file each, and what they share: gate, claim, verdict, message.

An assertion is a function `assert_*` with the decorator `applies_to`. After one was added or its
first line of documentation changed, run `python -m tools.write_tables`: it writes the public names
and the tables of the docs.
"""
