// Placeholder until ClusterPlatform's first file lands.
