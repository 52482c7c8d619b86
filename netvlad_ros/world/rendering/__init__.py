"""Images from textured quads: camera, textures, light, sky."""
