"""The public assertions: what each judges, what it claims, and the verdict with its words."""
