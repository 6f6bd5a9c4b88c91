"""What a person looks at: the pages lrt writes."""
