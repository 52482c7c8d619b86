"""What netvlad eval measures: a drive on a map, pairs of images, a public benchmark."""
