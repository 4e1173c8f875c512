"""The public assertions, one file each, and what they share: gate, claim, verdict, message."""
