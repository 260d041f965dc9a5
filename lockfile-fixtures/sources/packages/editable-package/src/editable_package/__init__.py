"""A package whose source kind is `editable`."""
