"""The Bayes filter over the places of the map: predicted by motion, updated by images."""
