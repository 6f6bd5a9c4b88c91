"""Datasets of other layouts: the authors' own, read and written; LeRobotDataset and WebDataset, written.

What goes out takes the pictures' PNG files as they lie in our shards, so not a pixel changes on the way.
"""
