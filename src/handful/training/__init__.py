"""One training loop, one small task per trainable method, recipes as YAML files."""
