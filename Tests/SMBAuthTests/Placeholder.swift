// Placeholder until SMBAuthTests' first file lands.
