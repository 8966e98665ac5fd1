// Placeholder until smbserverd's first file lands.
