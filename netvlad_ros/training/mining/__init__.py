"""Which tuples or groups the next round trains on."""
