// Placeholder until SMBServerTests' first file lands.
