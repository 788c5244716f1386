"""What a fitted mixed model leaves unexplained, and whom it rests on."""
