"""Programs as data: what blocks compute, as torch's own operators, changed and compiled."""
