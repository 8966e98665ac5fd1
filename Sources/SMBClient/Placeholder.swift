// Placeholder until SMBClient's first file lands.
