"""One run: its resources, its results, the baseline that it writes, and the doctor."""
