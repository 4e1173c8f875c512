"""Find, load, unpack and identify the files of a model."""
