// Placeholder until SMBAuth's first file lands.
