"""Shop analytics: fake users whose events flow into one topic (run it: `ottla demo analytics`)."""
