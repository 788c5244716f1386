"""One patient each: who they were, every endpoint, what is missing, what a clinician judged."""
