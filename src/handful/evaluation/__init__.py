"""Measuring: protocols, the papers' tables, and results with how they came about."""
