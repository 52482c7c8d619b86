"""What `netvlad eval --out` and `netvlad report` write: a table, pictures and one page."""
