"""Groups that become known after time zero: how a comparison is made fair, and what the unfair one would say."""
