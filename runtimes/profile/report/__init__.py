"""What comes of a profile: table, page, trace, and bundles side by side."""
