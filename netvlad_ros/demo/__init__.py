"""A rendered world, driven twice, and the demonstration that localizes in it."""
