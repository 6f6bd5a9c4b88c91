"""The commands of `lrt`: each opens, calls and prints."""
