"""make demo: map one rendered drive, localize the other with the real node over DDS."""
