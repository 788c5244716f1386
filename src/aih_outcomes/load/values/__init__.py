"""From text to values, the same for every source: dates, numbers, laboratory results, doses, upper limits."""
