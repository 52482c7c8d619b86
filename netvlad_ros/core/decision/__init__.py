"""From evidence to the answer: hypotheses, measurement model, sequence, pose, verdict."""
