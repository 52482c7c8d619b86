"""From an evaluated run to metrics.json, matches.csv, plots and report.html."""
