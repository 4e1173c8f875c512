"""From a measurement's name to paired scores: the catalog, the lazy measurement, the pair check."""
