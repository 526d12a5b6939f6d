"""People at a gateway: who they are, what is theirs, what they may do. Loaded only when `accounts` is switched on."""
