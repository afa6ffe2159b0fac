"""How numbers become bytes: vectors, codecs, entropy coding."""
