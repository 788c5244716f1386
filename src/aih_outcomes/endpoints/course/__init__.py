"""What happened after: loss of response, flares, steroids stopped, treatment failed; and the states over time."""
