"""The settings of a training run, typed and checked: one class for each section of train.yaml."""
