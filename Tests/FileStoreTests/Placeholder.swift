// Placeholder until FileStoreTests' first file lands.
