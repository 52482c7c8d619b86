"""Images from textured quads and panoramas: camera, textures, light, sky."""
