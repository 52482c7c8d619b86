"""Geometric verification: which retrieved map images show the same scene, and the pose that
follows.
"""
