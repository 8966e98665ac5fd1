// Placeholder until StateRecords's first file lands.
