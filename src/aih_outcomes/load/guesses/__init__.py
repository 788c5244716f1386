"""What the columns of a file may mean, for a mapping that a person then corrects."""
