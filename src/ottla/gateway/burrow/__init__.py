"""Consumer lag by Burrow's rules and over Burrow's HTTP API."""
