// Placeholder until SMBCryptoTests' first file lands.
