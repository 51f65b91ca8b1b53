"""Live terminal dashboards."""
