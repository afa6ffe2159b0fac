"""Reports: one self-contained HTML page, made of blocks, to be read on screen and on paper."""
