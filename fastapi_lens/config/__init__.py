"""Settings that the code of a host application chooses. Opens nothing."""
