"""netvlad ...: one file a command; each imports what it drives only when it runs."""
