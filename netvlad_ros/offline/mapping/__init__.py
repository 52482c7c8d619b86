"""From a drive to a map: keyframes, features, landmarks, self-calibration, and the calibration
of a map.
"""
