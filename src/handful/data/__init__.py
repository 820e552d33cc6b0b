"""Labelled examples, episodes drawn from them, and data sets in their published layouts."""
