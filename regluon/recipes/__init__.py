"""Whole trainings, written with the public API only."""
