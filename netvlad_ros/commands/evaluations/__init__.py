"""The modes of `netvlad eval`: one file each, with its options and what it runs."""
