"""The commands of `pairwright`, a module each: `add` declares it, its function does it."""
