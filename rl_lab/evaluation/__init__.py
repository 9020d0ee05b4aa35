"""The evaluation runner: frozen policies in, episode records and decision times out."""
