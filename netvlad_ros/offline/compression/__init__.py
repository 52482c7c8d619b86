"""netvlad compress: recall against bytes per place."""
