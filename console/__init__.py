"""What a person meets of lrt: its commands, what they say, and the pages they write."""
