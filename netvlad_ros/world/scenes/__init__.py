"""What is rendered: a town, rooms, panoramas, and how they look at each visit."""
