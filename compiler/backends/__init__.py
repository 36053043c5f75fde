"""What each kind of device needs: one folder a kind."""
