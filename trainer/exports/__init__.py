"""Exports of a release for trainers that run on clusters, one module each: files, and a configuration that runs them as they are."""
