// Placeholder until ClusterCoreTests' first file lands.
