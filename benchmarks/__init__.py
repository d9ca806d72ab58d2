"""What jobbatch is measured by."""
