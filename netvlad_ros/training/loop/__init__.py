"""The run: steps, checkpoints, validation, several processes, and what a finished run writes."""
