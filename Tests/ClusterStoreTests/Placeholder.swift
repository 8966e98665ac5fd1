// Placeholder until ClusterStoreTests' first file lands.
