"""What the rows show, a module for each write-up."""
