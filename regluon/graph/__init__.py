"""Programs as data: what a block computes, traced to torch's own operators, changed and compiled."""
