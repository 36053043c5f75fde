"""Fields of config.json that several families read."""
