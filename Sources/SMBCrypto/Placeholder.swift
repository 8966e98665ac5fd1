// Placeholder until SMBCrypto's first file lands.
