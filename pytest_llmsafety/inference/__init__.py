"""Who answers: an engine that asks its cache first, then a backend, or a file of dense answers."""
