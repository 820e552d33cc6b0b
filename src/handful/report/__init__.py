"""Answers made visible: one self-contained page, and pictures."""
