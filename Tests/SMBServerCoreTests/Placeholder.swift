// Placeholder until SMBServerCoreTests' first file lands.
