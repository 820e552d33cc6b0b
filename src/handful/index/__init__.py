"""Features and codes on disk, and how they are searched; nothing here knows a category."""
