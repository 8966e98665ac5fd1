// Placeholder until SMBServer's first file lands.
