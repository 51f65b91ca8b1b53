"""Templates as Burrow's notifiers use them: the language of Go's text/template."""
