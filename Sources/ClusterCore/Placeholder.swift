// Placeholder until ClusterCore's first file lands.
