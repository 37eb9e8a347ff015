-- For sqlc, which reads the migrations. The program makes the schema itself,
-- before its first migration.
CREATE SCHEMA widget_service;
