"""Models on this machine: where they come from, how they are stored, adapted and scored, and the processes that share them."""
