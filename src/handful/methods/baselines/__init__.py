"""Rivals that learn nothing, or nothing of their own: what a method has to beat."""
