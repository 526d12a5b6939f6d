"""Quadruped."""
