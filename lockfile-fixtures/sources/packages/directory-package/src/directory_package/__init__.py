"""A package whose source kind is `directory`."""
