"""The data sets themselves, one source a file; the table in `datasets/__init__.py` names them."""
