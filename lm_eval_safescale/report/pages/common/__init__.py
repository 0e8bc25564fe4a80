"""What several pages look up, say and tabulate alike. It knows no page."""
