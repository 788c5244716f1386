"""Events seen only between two visits."""
