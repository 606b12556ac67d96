"""A night that says when something is wrong: gates against the last version, notifications, figures and a log of the last run."""
