"""Camera poses from geometry: landmarks (PnP), two views, bearings, and the prior that is
published.
"""
