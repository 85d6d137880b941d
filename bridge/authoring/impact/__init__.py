"""Impact of requested retrainings: what helped, what was held, and which rules to change."""
