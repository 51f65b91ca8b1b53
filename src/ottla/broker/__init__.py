"""The one object that owns all state and applies what the other rooms decide."""
