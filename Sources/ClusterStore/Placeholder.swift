// Placeholder until ClusterStore's first file lands.
