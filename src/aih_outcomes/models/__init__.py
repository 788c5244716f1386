"""Statistics: outcomes in, frozen results out; they know no disease."""
