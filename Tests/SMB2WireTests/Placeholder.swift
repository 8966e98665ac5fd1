// Placeholder until SMB2WireTests' first file lands.
