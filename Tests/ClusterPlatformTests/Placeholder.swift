// Placeholder until ClusterPlatformTests' first file lands.
