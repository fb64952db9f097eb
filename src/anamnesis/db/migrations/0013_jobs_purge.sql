-- Finished jobs are of use for a week; after that the service deletes them.

GRANT DELETE ON jobs TO anamnesis_app;
