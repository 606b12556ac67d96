"""Tests: claims about behaviour."""
