"""What is trained: one file a kind of recipe, each with a function `build`."""
