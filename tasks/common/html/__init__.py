"""The pieces and the look of every report page."""
