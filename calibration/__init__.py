"""Person masks, and the fit that lays heat over picture."""
