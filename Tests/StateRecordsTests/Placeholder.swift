// Placeholder until StateRecordsTests' first file lands.
