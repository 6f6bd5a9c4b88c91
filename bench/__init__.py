"""Figures: `make bench` prints every table that README and docs quote, on the machine it runs on."""
