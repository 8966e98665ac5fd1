// Placeholder until SMB2Wire's first file lands.
