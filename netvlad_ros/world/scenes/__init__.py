"""What is rendered: a town, rooms, and how they look at each visit."""
