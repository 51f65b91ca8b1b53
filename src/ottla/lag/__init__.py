"""Consumer lag: commits and log ends of a cluster, judged by Burrow's rules."""
